"""base − deleted + delta = a whole export at the second instant, byte by byte, whatever changed in between."""

import io
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from random import Random
from typing import Any

import asyncpg
import psycopg
import pyarrow.parquet as pq
import pytest

from shared.datasets import registry
from shared.datasets.plan import PlanSpec, Redaction, Since
from shared.datasets.sql import session_sql
from tests.integration.engine.books import by_calamine
from tests.integration.engine.changing import Held, end, evolve, lines, score
from tests.integration.engine.conftest import Exported, Exporter
from tests.integration.engine.loader import current_records, load
from tests.oracle.generate import SETTINGS, generate, ndjson

DATASETS = ["leads", "conversations", "messages", "resolved-conversations", "open-conversations", "contacts", "user-presence"]
LARGE = {"leads", "conversations", "messages"}
RANGE = {"from": "2026-01-01", "to": "2027-01-01"}
# All that a filter may hang on: what the row says itself, what it names, and what names it.
FILTERS: dict[str, list[dict[str, Any]]] = {
    "leads": [{}, {"score_min": 40}, {"status": ["new", "qualified"]}],
    "conversations": [{}, {"medium": ["Web chat", "WhatsApp"]}, {"status": "resolved"}],
    "messages": [{}, {"medium": ["Web chat", "WhatsApp"]}],
    "resolved-conversations": [{}, {"medium": "Web chat"}], "open-conversations": [{}], "contacts": [{}, {"medium": "Web chat"}], "user-presence": [{}],
}  # fmt: skip


def state(seed: int, conversations: int = 40) -> Held:
    return current_records(ndjson(generate(seed, conversations)).decode().strip("\n").split("\n"))


def mixed(random: Random, before: Held, other: Held, share: float, kinds: set[str] | None = None) -> Held:
    """The state with some records as in another one, some gone, some new."""
    after = dict(before)
    for key in sorted({**before, **other}):
        if (kinds is None or key[0] in kinds) and random.random() < share:
            if key in other:
                after[key] = other[key]
            else:
                after.pop(key, None)
    return after


@dataclass
class Two:
    """Two instants of one organisation."""

    exporter: Exporter
    first: str
    second: str

    async def delta(self, spec: PlanSpec, rows_max: int) -> tuple[PlanSpec, Exported]:
        since = Since(export_id="exp_base", snapshot=self.first)
        spec = spec.model_copy(update={"since": since})
        spec = spec.model_copy(update={"since": since.model_copy(update={"found": await self.found(spec)})})
        return spec, await self.exporter.export(spec, self.second, rows_max)

    async def found(self, spec: PlanSpec) -> bool:
        connection = await asyncpg.connect(self.exporter.database.as_service("export_request"))
        try:
            async with connection.transaction():
                await connection.execute(session_sql(self.exporter.org_id))
                return bool(await connection.fetchval(registry.get(spec.dataset).worth_finding(spec, self.second)))
        finally:
            await connection.close()

    async def rows(self, spec: PlanSpec, snapshot: str) -> list[tuple[str, bytes]]:
        """Id and bytes of every row, in order."""
        made = await self.exporter.export(spec, snapshot)
        rows = [line + b"\n" for line in made.files["jsonl"].split(b"\n")[:-1]]
        planned = await self.exporter.plan(spec, snapshot, 1, 1 << 20)
        return [(key[-1], row) for (_, key), row in zip(planned, rows, strict=True)]


@pytest.fixture(scope="module", params=["few", "references", "everything"])
def two(request: pytest.FixtureRequest, exporter: Exporter) -> Two:
    random, org_id = Random(request.param), f"org_{request.param}"
    before = state(1)
    small = {"lead", "contact", "conversation", "message", "event", "lock", "presence"}
    share, kinds = {
        "few": (0.03, small),
        "references": (0.3, {"agent", "channel", "tag", "topic", "team", "bot"}),
        "everything": (0.4, None),
    }[request.param]
    after = mixed(random, before, state(2), share, kinds)
    mine = Exporter(exporter.database, exporter.engine, org_id, SETTINGS)
    leads = sorted(id_ for kind, id_ in before if kind == "lead")
    with psycopg.connect(exporter.database.url, autocommit=True) as connection:
        load(connection, org_id, lines(before), {lead: random.randint(0, 100) for lead in leads[::2]})
        connection.execute("analyze")
        first = mine.snapshot()
        halfway = mixed(random, before, after, 0.5)
        evolve(connection, org_id, before, halfway)
        evolve(connection, org_id, halfway, after)
        if request.param != "references":
            score(connection, org_id, {lead: random.randint(0, 100) for lead in leads[::5]})
        second = mine.snapshot()
        evolve(connection, org_id, after, mixed(random, after, state(3), 0.2))  # what comes later shows nowhere
    return Two(mine, first, second)


@pytest.mark.parametrize("dataset", DATASETS)
async def test_base_without_deleted_with_delta_is_the_whole(two: Two, dataset: str) -> None:
    asked, fmt = registry.get(dataset), "jsonl"
    for chosen in FILTERS[dataset]:
        request = {"dataset": dataset, "format": fmt, "filter": chosen} | (RANGE if asked.range_rule == "required" else {})
        spec = two.exporter.spec(request)
        base, whole = dict(await two.rows(spec, two.first)), await two.rows(spec, two.second)
        spec, delta = await two.delta(spec, 31)
        assert spec.since
        gone = [json.loads(line) for part in delta.parts[f"deleted.{fmt}"] for line in part.data.decode().splitlines()]
        now = dict(whole)
        assert sorted(row["id"] for row in gone) == sorted(set(base) - set(now))
        changed = [(key, data) for key, data in whole if base.get(key) != data]
        assert b"".join(data for _, data in changed) == b"".join(part.data for part in delta.parts[fmt]), chosen
        assert changed or gone or chosen or dataset not in LARGE or two.exporter.org_id == "org_references"
        kept = [part.result.unchanged for part in delta.parts[fmt]]
        assert sum(kept) == sum(rows for rows, _ in delta.planned) - len(changed) - len(gone)
        if two.exporter.org_id == "org_few" and dataset != "contacts":
            assert spec.since.found
            assert sum(kept) <= len(whole) / 2


async def test_a_workbooks_other_sheets_count_as_its_rows(two: Two) -> None:
    """A conversation is in a delta where a message or an event of it changed, and all of these are there with it."""
    request = {"dataset": "conversations", "filter": {}}
    as_json, as_book = (two.exporter.spec(request | {"format": name}) for name in ("jsonl", "xlsx"))
    _, wanted = await two.delta(as_json, 31)
    _, made = await two.delta(as_book, 31)
    rows = [json.loads(line) for line in wanted.files["jsonl"].splitlines()]
    read = by_calamine(made.files["xlsx"])
    assert [row[0] for row in read["Conversations"][1:]] == [row["conversation_id"] for row in rows]
    for sheet, field in (("Messages", "messages"), ("Events", "events")):
        assert [row[0] for row in read[sheet][1:]] == [row["conversation_id"] for row in rows for _ in row[field]]
    assert list(by_calamine(made.files["deleted.xlsx"])) == ["Deleted"]


async def test_what_is_hidden_shows_in_no_delta(two: Two) -> None:
    if two.exporter.org_id != "org_everything":
        return
    hidden = Redaction(profile="support", columns={"message_id": "hash", "content": "mask", "deleted_at": "year"}, detect=["email"])
    spec = two.exporter.spec({"dataset": "messages", "format": "jsonl", "columns": ["message_id", "content"], **RANGE}, redaction=hidden)
    base, whole = dict(await two.rows(spec, two.first)), dict(await two.rows(spec, two.second))
    spec, delta = await two.delta(spec, 31)
    # What changed in hidden columns alone is no change; ids are the base's pseudonyms.
    assert sorted(delta.files["jsonl"].split(b"\n")[:-1]) == sorted(row[:-1] for id_, row in whole.items() if base.get(id_) != row)
    pseudonyms = {id_: json.loads(row)["message_id"] for id_, row in base.items()}
    gone = [json.loads(line) for line in delta.files["deleted.jsonl"].split(b"\n")[:-1]]
    assert sorted(row["id"] for row in gone) == sorted(pseudonyms[id_] for id_ in set(base) - set(whole))
    assert all(row["deleted_at"] is None or len(row["deleted_at"]) == 4 for row in gone)
    counted = sum(part.result.redacted["columns.message_id"] for part in delta.parts["jsonl"])
    assert counted == len(delta.files["jsonl"].split(b"\n")) + len(gone) - 1
    assert all(part.result.first_key == "" for part in delta.parts["deleted.jsonl"])


async def test_a_deletion_is_told_to_the_millisecond(exporter: Exporter) -> None:
    """The database keeps microseconds; of these the formats would each make something else."""
    said = {"conversation_id": "c1", "created_at": "2026-03-01T10:00:00Z"}
    mine = Exporter(exporter.database, exporter.engine, "org_gone")
    with psycopg.connect(exporter.database.url, autocommit=True) as connection, connection.cursor() as cursor:
        load(connection, "org_gone", [json.dumps({"type": "message", "id": "m1", "data": said})], {})
        first = mine.snapshot()
        end(cursor, "messages", "org_gone", "m1")
        cursor.execute("update ingest.messages_ended set replaced_at = '2026-03-02 10:00:00.999999+00' where org_id = 'org_gone'")
        two = Two(mine, first, mine.snapshot())
    _, delta = await two.delta(mine.spec({"dataset": "messages", "formats": ["jsonl", "parquet"], "timezone": "UTC", **RANGE}), 31)
    assert json.loads(delta.files["deleted.jsonl"]) == {"id": "m1", "deleted_at": "2026-03-02 10:00:00.999"}
    (at,) = pq.read_table(io.BytesIO(delta.files["deleted.parquet"]))["deleted_at"].to_pylist()
    assert at == datetime(2026, 3, 2, 10, 0, 0, 999_000, UTC)


async def test_every_format_says_what_is_gone(two: Two) -> None:
    spec = two.exporter.spec({"dataset": "conversations", "formats": ["txt", "json"]})
    whole = await two.exporter.export(spec, two.second)
    spec, delta = await two.delta(spec, 31)
    gone = json.loads(delta.files["deleted.json"])
    lines = [line.split("\t") for line in delta.files["deleted.txt"].decode().split("\n")[:-1]]
    assert lines == [[row["id"], row["deleted_at"] or ""] for row in gone]
    assert {row["conversation_id"] for row in json.loads(delta.files["json"])} <= {
        r["conversation_id"] for r in json.loads(whole.files["json"])
    }
