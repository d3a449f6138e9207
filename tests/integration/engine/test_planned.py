"""Plans that DuckDB keeps: whatever an engine has formatted before, it writes what one that is new does."""

import random
from dataclasses import replace

import duckdb
import psycopg
import pytest

from shared.datasets.plan import PlanSpec, Redaction
from shared.formatting.engine import FormatEngine
from shared.formatting.planned import MOST, Planned
from tests.conftest import Database
from tests.integration.engine.conftest import CASES, RECORDS, Exporter
from tests.integration.engine.loader import load

OTHER = "org_other_examples"
RANGE = {"from": "2026-01-01", "to": "2026-07-01"}


def _pseudonyms(profile: str) -> Redaction:
    return Redaction(profile=profile, columns={"contact_id": "hash", "email": "hash", "lead_email": "hash"})


def _specs(exporter: Exporter) -> list[PlanSpec]:
    """Of one schema and of several, in zones, for two keys of pseudonyms, by several formats."""
    asked = [
        ("messages", "csv", "UTC"), ("messages", "csv", "Asia/Kolkata"), ("messages", "parquet", "UTC"), ("leads", "xlsx", "UTC"),
        ("conversations", "xlsx", "UTC"), ("chat-data", "json", "UTC"), ("chat-data", "json", "Asia/Kolkata"),
    ]  # fmt: skip
    specs = [exporter.spec({"dataset": dataset, "format": fmt, "timezone": zone, **_range(dataset)}) for dataset, fmt, zone in asked]
    return specs + [exporter.spec({"dataset": "leads", "format": "jsonl"}, redaction=_pseudonyms(profile)) for profile in ("one", "two")]


def _range(dataset: str) -> dict[str, str]:
    return RANGE if dataset in ("messages", "chat-data") else {}


def _engine(database: Database) -> FormatEngine:
    """One of the examples' texts is longer than a cell takes."""
    return FormatEngine(database.libpq("formatter"), memory_mb=256, pseudonym_secret="a secret of the tests, long enough", any_length=True)


async def test_an_engine_writes_what_a_new_one_does_whatever_it_wrote_before(database: Database, exporter: Exporter) -> None:
    with psycopg.connect(database.url) as connection:
        load(connection, OTHER, RECORDS[: len(RECORDS) // 2], CASES["scores"])
    snapshot = exporter.snapshot()
    kept = _engine(database)
    turns = [(spec, org_id) for spec in _specs(exporter) for org_id in (exporter.org_id, OTHER)]
    once = {}
    for place, (spec, org_id) in enumerate(turns):
        new = _engine(database)
        once[place] = await replace(exporter, engine=new, org_id=org_id).export(spec, snapshot, 20)
        new.close()
    assert len({str(each.files) for each in once.values()}) > len(turns) // 2  # zones make no difference to some
    chosen = random.Random(3)
    # One after the other, as one export's chunks come, and in any order, as those of several do.
    for place in [*range(len(turns)), *(chosen.randrange(len(turns)) for _ in turns)]:
        spec, org_id = turns[place]
        assert (await replace(exporter, engine=kept, org_id=org_id).export(spec, snapshot, 20)).files == once[place].files, (place, org_id)
    kept.close()


def test_plans_are_kept_by_their_text_and_no_more_than_some() -> None:
    connection, planned = duckdb.connect(), Planned()
    connection.execute("create macro told() as 1")
    assert connection.execute(planned.statement(connection, "select told()")).fetchall() == [(1,)]
    connection.execute("create or replace macro told() as 2")
    assert connection.execute(planned.statement(connection, "select told()")).fetchall() == [(1,)]  # a plan holds what it was made of
    planned.forget(connection)
    assert connection.execute(planned.statement(connection, "select told()")).fetchall() == [(2,)]
    first = planned.statement(connection, "select told()")
    for number in range(MOST):
        connection.execute(planned.statement(connection, f"select {number}"))
    assert planned.statement(connection, "select told()") != first
    with pytest.raises(duckdb.Error):
        connection.execute(first)
    with pytest.raises(duckdb.Error):
        planned.statement(connection, "select nothing from nowhere")
