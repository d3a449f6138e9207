"""Two instants on the real stack: a delta in every format, verified by the command line, run again to the byte; and what differs between the two."""

import csv
import io
import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import openpyxl
import pytest

from tests.conftest import ROOT, Stack
from tests.e2e.conftest import Organisation

RANGE = {"from": "2026-03-01", "to": "2026-04-01", "timezone": "Europe/Brussels"}
FORMATS = ["csv", "jsonl", "xlsx", "parquet"]


def record(kind: str, id_: str, **data: Any) -> bytes:
    return json.dumps({"type": kind, "id": id_, "data": data}).encode() + b"\n"


def message(number: int, content: str) -> bytes:
    return record(
        "message", f"msg_{number}", conversation_id=f"conv_{number % 2}", created_at=f"2026-03-{number:02}T09:00:00Z", content=content
    )


def waybill(stack: Stack, organisation: Organisation, *arguments: str) -> str:
    environment = os.environ | {"WAYBILL_URL": stack.url, "WAYBILL_API_KEY": organisation.api_key}
    done = subprocess.run(
        [sys.executable, "-m", "cli.main", *arguments], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout


@pytest.fixture(scope="module")
def base(organisation: Organisation) -> dict[str, Any]:
    lines = [
        record("channel", "ch_1", medium="Web chat", name="Site"),
        record("contact", "ct_1", medium="Web chat", primary_identifier="old", created_at="2026-01-01T00:00:00Z"),
    ]
    lines += [
        record("conversation", f"conv_{i}", channel_id="ch_1", created_at="2026-03-01T00:00:00Z", **({"contact_id": "ct_1"} if i else {}))
        for i in (0, 1)
    ]
    lines += [message(number, f"text {number}") for number in range(1, 21)]
    assert organisation.send(b"".join(lines))["refused_count"] == 0
    return organisation.completed({"dataset": "messages", "formats": FORMATS, **RANGE})


def test_a_delta_holds_what_changed_and_what_is_gone(
    stack: Stack, organisation: Organisation, base: dict[str, Any], tmp_path: Path
) -> None:
    gone = json.dumps({"type": "message", "id": "msg_4", "op": "delete"}).encode() + b"\n"
    began = datetime.now(UTC)
    assert organisation.send(message(2, "=another text") + message(6, "text 6") + message(21, "new") + gone)["refused_count"] == 0
    delta = organisation.completed({"dataset": "messages", "since": base["id"]})
    assert delta["excluded"] == []
    assert [(file["name"], file["rows"]) for file in delta["files"]] == [
        (name, rows) for fmt in FORMATS for name, rows in ((f"messages_{delta['id']}.{fmt}", 2), (f"deleted.{fmt}", 1))
    ]
    files = {file["name"]: organisation.download(delta, number) for number, file in enumerate(delta["files"])}
    rows = list(csv.DictReader(io.StringIO(files[f"messages_{delta['id']}.csv"].decode("utf-8-sig"))))
    assert [(row["Message ID"], row["Content"]) for row in rows] == [("msg_2", "'=another text"), ("msg_21", "new")]
    deleted = list(csv.DictReader(io.StringIO(files["deleted.csv"].decode("utf-8-sig"))))
    assert [row["id"] for row in deleted] == ["msg_4"]
    (row,) = [json.loads(line) for line in files["deleted.jsonl"].splitlines()]
    assert row == deleted[0]
    sheet = openpyxl.load_workbook(io.BytesIO(files["deleted.xlsx"])).active
    assert [[cell.value for cell in line][:1] for line in sheet.rows] == [["id"], ["msg_4"]]
    (tmp_path / "deleted.parquet").write_bytes(files["deleted.parquet"])
    found = duckdb.sql(f"select id, epoch_ms(deleted_at) from '{tmp_path}/deleted.parquet'").fetchall()
    assert [id_ for id_, _ in found] == ["msg_4"]
    assert began - timedelta(seconds=5) <= datetime.fromtimestamp(found[0][1] / 1000, UTC) <= datetime.now(UTC) + timedelta(seconds=5)
    waybill(stack, organisation, "exports", "download", delta["id"], "--out", str(tmp_path / "delta"))
    waybill(stack, organisation, "verify", str(tmp_path / "delta"))
    again = organisation.ended(organisation.http.post(f"/v1/exports/{delta['id']}/rerun").raise_for_status().json()["id"])
    assert organisation.http.get(again["manifest_url"]).json()["reproduces"] == delta["id"]


def test_a_name_that_changed_changes_the_rows_that_show_it(organisation: Organisation, base: dict[str, Any]) -> None:
    before = organisation.completed({"dataset": "messages", "format": "jsonl", **RANGE})
    organisation.send(record("contact", "ct_1", medium="Web chat", primary_identifier="new", created_at="2026-01-01T00:00:00Z"))
    delta = organisation.completed({"dataset": "messages", "since": before["id"]})
    rows = [json.loads(line) for line in organisation.download(delta).splitlines()]
    assert {row["contact_primary_identifier"] for row in rows} == {"new"}
    assert len(rows) == 11
    assert delta["files"][1]["rows"] == 0
    organisation.send(record("channel", "ch_1", medium="Web chat", name="Site", display_name="Shop"))
    everything = organisation.completed({"dataset": "messages", "since": delta["id"]})
    assert (everything["files"][0]["rows"], everything["excluded"]) == (20, [])


def test_what_differs_is_shown_to_people_and_machines(stack: Stack, organisation: Organisation, base: dict[str, Any]) -> None:
    before = organisation.completed({"dataset": "messages", "format": "csv", **RANGE})
    assert organisation.send(message(9, "changed") + message(22, "added"))["refused_count"] == 0
    after = organisation.completed({"dataset": "messages", "format": "xlsx", **RANGE})
    lines = waybill(stack, organisation, "diff", before["id"], after["id"], "--json").splitlines()
    found = [json.loads(line) for line in lines]
    assert [(row["op"], row["key"]) for row in found] == [("changed", "msg_9"), ("added", "msg_22")]
    assert (found[0]["before"], found[0]["after"]) == ({"content": "text 9"}, {"content": "changed"})
    assert found[1]["after"]["content"] == "added"
    shown = waybill(stack, organisation, "diff", before["id"], after["id"])
    assert "~ msg_9\n    content  text 9 → changed\n+ msg_22\n" in shown
    assert waybill(stack, organisation, "diff", after["id"], before["id"], "--counts") == "0 added, 1 removed, 1 changed\n"
