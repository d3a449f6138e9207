"""Finds the facts of a round: in the tables, in the topics, in the store, and by the product's own HTTP."""

import csv
import gzip
import hashlib
import io
import json
import re
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import boto3
import httpx
import psycopg
import zstandard
from botocore.config import Config
from psycopg import sql
from psycopg.rows import dict_row

from deploy.local.s3 import REGION
from shared.datasets.plan import PlanSpec
from shared.topics import all_topics
from tests.faults.kafka import Event, Kafka, Places
from tests.faults.load import Asked, Load, Organisation
from tests.faults.oracle import ExportFacts, FileFacts, OrganisationFacts, Row
from tests.faults.records import MARKED, Record, read_mark
from tests.faults.reference import Reference
from tests.faults.stack import FaultStack
from tests.faults.watch import RUNNING
from tests.faults.webhooks import Heard
from tests.scoring.oracle import Scored

TABLES = {kind: f"{kind}s" for kind in MARKED}
PULSE = re.compile(rb"pulse (\d+);")
CLEAN_SECONDS = 40
csv.field_size_limit(1 << 30)
EVENT_PREFIX = "waybill.export."
# Rows that an ended export must not keep: what its files were made from, and messages that nobody sent.
LEFT_ROWS = {
    "exports.chunks": "SELECT count(*) FROM exports.chunks WHERE org_id = ANY(%s)",
    "delivery.assembly_parts": "SELECT count(*) FROM delivery.assembly_parts WHERE org_id = ANY(%s)",
    "open delivery.assemblies": "SELECT count(*) FROM delivery.assemblies WHERE state = 'open' AND org_id = ANY(%s)",
}


class Collector:
    """Of one stack, round after round."""

    def __init__(self, stack: FaultStack, kafka: Kafka, reference: Reference) -> None:
        self._kafka, self._reference, self._env = kafka, reference, stack.env
        self._database = psycopg.connect(stack.env["WAYBILL_DATABASE_URL"], autocommit=True, row_factory=dict_row)
        self._s3 = boto3.client(
            "s3", endpoint_url=stack.env["WAYBILL_S3_ENDPOINT"], region_name=REGION, aws_access_key_id=stack.env["WAYBILL_S3_ACCESS_KEY"],
            aws_secret_access_key=stack.env["WAYBILL_S3_SECRET_KEY"], config=Config(s3={"addressing_style": "path"}),
        )  # fmt: skip

    def query(self, text: Any, *values: Any) -> list[dict[str, Any]]:
        """Runs on a connection that is made again where a round has broken it."""
        if self._database.broken or self._database.closed:
            self._database = psycopg.connect(self._env["WAYBILL_DATABASE_URL"], autocommit=True, row_factory=dict_row)
        try:
            return self._database.execute(text, values).fetchall()
        except psycopg.OperationalError:
            self._database.close()
            return self.query(text, *values)

    # ---- records

    def sent_over_kafka(self, since: Places, organisation: Organisation, numbers: dict[tuple[str, str], int]) -> list[Record]:
        """From the topic itself: in the order in which ingest meets them, with what was published again. `numbers`: of each (type, id)."""
        found: list[Record] = []
        for message in self._kafka.read("records", since):
            shown = json.loads(message.value())
            if shown["org_id"] != organisation.org_id or shown["id"].startswith("bad_"):
                continue
            text = shown.get("data", {}).get(MARKED[shown["type"]])
            mark = read_mark(text, organisation.token) or ""
            found.append(Record(shown["type"], shown["id"], mark, shown["op"], shown.get("version"), numbers[shown["type"], shown["id"]]))
        return found

    def rows(self, organisation: Organisation) -> dict[tuple[str, str], list[Row]]:
        """Every current row of the marked types."""
        found: dict[tuple[str, str], list[Row]] = {}
        for kind, table in TABLES.items():
            query = sql.SQL("SELECT id, version, {} AS mark FROM ingest.{} WHERE org_id = %s AND ended IS NULL")
            for row in self.query(query.format(sql.Identifier(MARKED[kind]), sql.Identifier(table)), organisation.org_id):
                found.setdefault((kind, row["id"]), []).append((row["version"], read_mark(row["mark"], organisation.token)))
        return found

    def organisation(self, load: Load, place: int, since: Places, others: Sequence[str], calm: bool) -> OrganisationFacts:
        """`others`: paths that belong to another organisation. `calm`: nothing is stuck, so a last export can be asked for."""
        organisation = load.organisations[place]
        numbers = {(record.type, record.id): record.number for record in load.script.sent(place)}
        sent = [*load.over_http[place], *self.sent_over_kafka(since, organisation, numbers)]
        shown = {kind: self._exported(organisation, kind) for kind in ("lead", "message")} if calm else {}
        exported = {kind: [(row[0], read_mark(row[1], organisation.token) or "") for row in rows] for kind, rows in shown.items()}
        scores = {row[0]: row[2] for row in shown["lead"]} if calm else None
        answers = {path: organisation.http.get(path).status_code for path in others}
        return OrganisationFacts(
            organisation.org_id, tuple(sent), self.rows(organisation), exported, answers, self._scores(organisation), scores
        )

    def _scores(self, organisation: Organisation) -> dict[str, Scored]:
        query = "SELECT id, score, reasons FROM ingest.lead_scores WHERE org_id = %s AND ended IS NULL"
        return {row["id"]: (row["score"], json.loads(row["reasons"])) for row in self.query(query, organisation.org_id)}

    def _exported(self, organisation: Organisation, kind: str) -> list[list[Any]]:
        """The rows of what a last export, with nothing in its way, shows of a type."""
        columns = {"lead": ["id", "name", "score"], "message": ["message_id", "content"]}[kind]
        range_ = {} if kind == "lead" else {"from": "2026-02-01", "to": "2026-05-01"}
        body = {"dataset": f"{kind}s", "format": "jsonl", "columns": columns, **range_}
        export = self._ended(organisation, organisation.http.post("/v1/exports", json=body))
        rows = []
        for file in export["files"]:
            for text in organisation.http.get(file["url"]).raise_for_status().content.split(b"\n"):
                if text:
                    rows.append(list(json.loads(text).values()))
        return rows

    def _ended(self, organisation: Organisation, asked: httpx.Response) -> dict[str, Any]:
        """The export that was asked for, once it has ended, or after a long while."""
        export: dict[str, Any] = asked.raise_for_status().json()
        deadline = time.monotonic() + CLEAN_SECONDS
        while export["status"] in RUNNING and time.monotonic() < deadline:
            time.sleep(0.03)
            export = organisation.http.get(f"/v1/exports/{export['id']}").raise_for_status().json()
        return export

    # ---- exports

    def export(
        self, load: Load, asked: Asked, tokens: Sequence[str], events: Sequence[Event], heard: Sequence[Heard], again: bool
    ) -> ExportFacts:
        """`again`: a rerun is asked for, and its files compared."""
        key = load.key_of(asked.ask.number)
        organisation = load.organisations[asked.ask.organisation]
        rows = self.query("SELECT * FROM exports.exports WHERE request_id = %s", key)
        told = tuple((e.type.removeprefix(EVENT_PREFIX), e.id) for e in events if e.key in {key, *(r["id"] for r in rows)})
        ids = tuple(r["id"] for r in rows)
        webhooks = tuple((h.type.removeprefix("export."), h.webhook_id) for h in heard if h.export_id in ids)
        known = ExportFacts(asked.ask, key, asked.floor, asked.removed, ids, events=told, webhooks=webhooks)
        if len(rows) != 1:
            return known
        answer = organisation.http.get(f"/v1/exports/{rows[0]['id']}")
        if answer.status_code == 404:
            return ExportFacts(**(vars(known) | {"deleted": True}))
        shown = answer.raise_for_status().json()
        files, pulses = self._files(organisation, shown, rows[0], [t for t in tokens if t != organisation.token])
        if again and shown["status"] == "completed":
            files = self._with_rerun(organisation, shown["id"], files)
        return ExportFacts(
            **(vars(known) | {
                "status": shown["status"], "error": json.dumps(shown["error"]), "rows_planned": shown["progress"]["rows_planned"],
                "rows_written": shown["progress"]["rows_written"], "rows_excluded": sum(e["rows"] for e in shown["excluded"]),
                "files": files, "pulses": pulses,
            })
        )  # fmt: skip

    def _files(
        self, organisation: Organisation, shown: dict[str, Any], row: dict[str, Any], strangers: Sequence[str]
    ) -> tuple[tuple[FileFacts, ...], Counter[tuple[str, int]]]:
        if shown["status"] != "completed":
            return tuple(_unread(f) for f in shown["files"]), Counter()
        manifest = organisation.http.get(shown["manifest_url"]).raise_for_status().json()
        entries = {f["name"]: f for f in manifest["files"]}
        expected: dict[str, str] = {}
        for name in shown["formats"]:
            names = [f["name"] for f in shown["files"] if f["format"] == name]
            expected |= dict(zip(names, self._reference.sha256s(row, name, [entries[n] for n in names]), strict=True))
        found, pulses = [], Counter[tuple[str, int]]()
        for file in shown["files"]:
            data = organisation.http.get(file["url"]).raise_for_status().content
            text = unpacked(data, row)
            for match in PULSE.finditer(text):
                pulses[file["format"], int(match[1])] += 1
            found.append(_file_facts(file, entries[file["name"]], data, text, expected[file["name"]], strangers))
        return tuple(found), pulses

    def _with_rerun(self, organisation: Organisation, export_id: str, files: tuple[FileFacts, ...]) -> tuple[FileFacts, ...]:
        """The files with the checksums of those of a rerun: the whole way once more, with nothing in it."""
        rerun = self._ended(organisation, organisation.http.post(f"/v1/exports/{export_id}/rerun"))
        made = [file["sha256"] for file in rerun["files"]] + [""] * len(files)
        return tuple(replace(file, again_sha256=sha256) for file, sha256 in zip(files, made, strict=False))

    # ---- what is left

    def unsent(self) -> int:
        """Messages in outboxes."""
        counts = " + ".join(f"(SELECT count(*) FROM {schema}.outbox)" for schema in ("ingest", "exports", "delivery"))
        return int(self.query(f"SELECT {counts} AS n")[0]["n"])

    def unpublished(self) -> int:
        """Notes of leads whose score may be another now."""
        return int(self.query("SELECT count(*) AS n FROM ingest.lead_touches")[0]["n"])

    def unheard(self, org_ids: Sequence[str]) -> int:
        """Webhooks that are still to be sent."""
        return int(self.query("SELECT count(*) AS n FROM delivery.webhook_queue WHERE org_id = ANY(%s)", list(org_ids))[0]["n"])

    def left(self, org_ids: Sequence[str], calm: bool) -> list[str]:
        """What must be gone and isn't, once the clean-up has had its time; where something is stuck, as it is now."""
        deadline = time.monotonic() + (CLEAN_SECONDS if calm else 0)
        while (found := self._left_now(org_ids)) and time.monotonic() < deadline:
            time.sleep(0.2)
        return found

    def _left_now(self, org_ids: Sequence[str]) -> list[str]:
        ids = {
            r["id"]: r
            for r in self.query("SELECT id, org_id, status, deleted_at FROM exports.exports WHERE org_id = ANY(%s)", list(org_ids))
        }
        pages = self._s3.get_paginator("list_objects_v2")
        bucket = self._env["WAYBILL_S3_BUCKET"]
        found = [o["Key"] for page in pages.paginate(Bucket=bucket, Prefix="parts/") for o in page.get("Contents", ())]
        for org_id in org_ids:
            for page in pages.paginate(Bucket=bucket, Prefix=f"files/{org_id}/"):
                for stored in page.get("Contents", ()):
                    row = ids.get(stored["Key"].split("/")[2])
                    if row is None or row["status"] != "completed" or row["deleted_at"]:
                        found.append(stored["Key"])
        uploads = self._s3.list_multipart_uploads(Bucket=bucket).get("Uploads", ())
        found += [f"upload of {u['Key']}" for u in uploads]
        for what, query in LEFT_ROWS.items():
            if count := self.query(query, list(org_ids))[0]["count"]:
                found.append(f"{count} rows in {what}")
        return found

    def letters(self, since: Places) -> list[tuple[str, str]]:
        topics = [t for t in all_topics() if t.endswith("-dlq")]
        ends = self._kafka.ends(topics)
        grown = sorted({topic for (topic, p), end in ends.items() if end > since.get((topic, p), 0)})
        return [(topic, (m.key() or b"").decode(errors="replace")) for topic in grown for m in self._kafka.read(topic, since)]

    def close(self) -> None:
        self._database.close()


def unpacked(data: bytes, row: dict[str, Any]) -> bytes:
    """A file's text; members in a row are one text."""
    match PlanSpec.model_validate_json(row["spec"]).compression:
        case "gzip":
            return gzip.decompress(data)
        case "zstd":
            return zstandard.ZstdDecompressor().stream_reader(io.BytesIO(data), read_across_frames=True).read()
        case _:
            return data


def count_rows(format_name: str, text: bytes) -> int | None:
    """Rows as a reader of the format counts them; null for transcripts, which have no rows."""
    match format_name:
        case "csv":
            return sum(1 for _ in csv.reader(io.StringIO(text.decode("utf-8-sig"), newline=""))) - 1
        case "jsonl":
            return sum(1 for part in text.split(b"\n") if part and json.loads(part) is not None)
        case "json":
            return len(json.loads(text))
        case _:
            return None


def _file_facts(
    file: dict[str, Any], entry: dict[str, Any], data: bytes, text: bytes, reference: str, strangers: Sequence[str]
) -> FileFacts:
    return FileFacts(
        file["name"], file["format"], file["rows"], file["bytes"], file["sha256"], entry["rows"], entry["sha256"],
        sum(part["rows"] for part in entry["parts"]), len(data), hashlib.sha256(data).hexdigest(), count_rows(file["format"], text), reference, None,
        tuple(t for t in strangers if t.encode() in text),
    )  # fmt: skip


def _unread(file: dict[str, Any]) -> FileFacts:
    return FileFacts(file["name"], file["format"], file["rows"], file["bytes"], file["sha256"], 0, "", 0, 0, "", None, "")


def new_organisation(operator: httpx.Client, url: str, org_id: str) -> Organisation:
    """Made by the operator; its token is its id, which is in all of its texts."""
    made = operator.post("/v1/organisations", json={"org_id": org_id, "name": f"Faults {org_id}"}).raise_for_status().json()
    client = httpx.Client(base_url=url, headers={"Authorization": f"Bearer {made['api_key']}"}, timeout=20, trust_env=False)
    return Organisation(org_id, org_id, client)
