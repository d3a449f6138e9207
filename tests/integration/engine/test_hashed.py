"""What adds many rows up joins them by a hash, though sessions don't plan such joins: PostgreSQL keeps the full joins that say so."""

import json
from typing import Any

import psycopg
import pytest

from shared.datasets import registry
from shared.datasets.sql import session_sql
from tests.integration.engine.conftest import ORG, Exporter
from tests.integration.engine.loader import load

RANGE = {"from": "2026-01-01", "to": "2026-07-01"}


@pytest.mark.parametrize("dataset, joins", [("teams", 3), ("users", 2), ("contacts", 1)])
@pytest.mark.parametrize("wanted", [{}, {"channel": ["ch_none"]}], ids=["all", "channel"])
def test_joins_stay_full(exporter: Exporter, dataset: str, joins: int, wanted: dict[str, list[str]]) -> None:
    spec = exporter.spec({"dataset": dataset, "format": "csv", "filter": wanted, **RANGE})
    rows = registry.get(dataset).relation(spec, exporter.snapshot(), ["a"], ["z"])
    with psycopg.connect(exporter.database.url) as connection:
        connection.execute(session_sql(ORG))
        plan = [line for (line,) in connection.execute(f"explain (costs off) {rows.facts}")]
    assert sum("Full Join" in line for line in plan) >= joins
    assert not any("Left Join" in line and "Hash" in line for line in plan)


@pytest.mark.parametrize("dataset", ["chat-data", "conversations"])
def test_a_plan_looks_at_the_messages_of_its_rows_alone(exporter: Exporter, dataset: str) -> None:
    """PostgreSQL would rather look once at all of the organisation's for a text longer than a cell takes."""
    spec = exporter.spec({"dataset": dataset, "format": "xlsx", **RANGE})
    with psycopg.connect(exporter.database.url) as connection:
        connection.execute(
            "insert into ingest.conversations (org_id, id, status, created_at, updated_at, follower_ids, metadata, parameters)"
            " select 'org_talks', 'c' || n, 'new', timestamptz '2026-02-01' + n * interval '1 minute', '2026-02-01', '{}', '{}', '{}' from generate_series(1, 2000) n"
        )
        connection.execute(
            "insert into ingest.messages (org_id, id, conversation_id, created_at, sender_kind, content)"
            " select 'org_talks', 'm' || n, 'c' || 1 + n % 2000, timestamptz '2026-02-01' + n * interval '1 second', 'visitor', 'text' from generate_series(1, 20000) n"
        )
        connection.execute("analyze ingest.messages, ingest.conversations")
        connection.execute(session_sql("org_talks"))
        (snapshot,) = connection.execute("select pg_current_snapshot()::text").fetchone()  # type: ignore[misc]
        query = registry.get(dataset).plan_query(spec, snapshot, None, 10, None)
        plan = [line for (line,) in connection.execute(f"explain (costs off) {query}")]
        connection.rollback()
    scans = [n for n, line in enumerate(plan) if " on messages" in line]
    assert scans
    assert [plan[n : n + 3] for n in scans if not any("conversation_id = " in line for line in plan[n : n + 3])] == []


async def test_what_a_record_names_counts_whatever_its_characters(exporter: Exporter) -> None:
    """A reference is any text: only what is not given counts as none."""
    at = {"created_at": "2026-03-01T10:00:00Z"}
    records: list[dict[str, Any]] = [
        {"type": "agent", "id": "a1", "data": {"name": "Ada", "team_id": "\x01"}}, {"type": "agent", "id": "a2", "data": {"name": "Bo"}},
        {"type": "conversation", "id": "c1", "data": {**at, "contact_id": "\x01"}}, {"type": "conversation", "id": "c2", "data": at},
        *({"type": "message", "id": f"m{n}", "data": {**at, "conversation_id": f"c{n}", "sender": {"kind": "agent", "id": f"a{n}"}}} for n in (1, 2)),
    ]  # fmt: skip
    with psycopg.connect(exporter.database.url, autocommit=True) as connection:
        load(connection, "org_given", [json.dumps(record) for record in records], {})
    mine = Exporter(exporter.database, exporter.engine, "org_given")
    made = {
        name: await mine.export(mine.spec({"dataset": name, "format": "jsonl", **RANGE}), mine.snapshot()) for name in ("teams", "contacts")
    }
    teams, contacts = ([json.loads(line) for line in made[name].files["jsonl"].splitlines()] for name in ("teams", "contacts"))
    assert [(row["team_id"], row["contacts_helped"]) for row in teams] == [("\x01", 1)]
    assert [row["contact_profile_id"] for row in contacts] == ["\x01"]
