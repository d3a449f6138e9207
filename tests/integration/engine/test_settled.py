"""Where nothing has ended since a snapshot, exports read current rows alone, and count some by an index: the same bytes, whatever ended or came in which table."""

import asyncio
import json
import time
from typing import Any

import psycopg
import pytest

from shared.datasets import registry
from shared.datasets.entities import Entities
from shared.datasets.sql import BLOCK_BYTES, COUNTED, VERSIONED, Settled, session_sql, settled_tables
from tests.conftest import Database
from tests.integration.engine.changing import end
from tests.integration.engine.conftest import ORG, Exported, Exporter

RANGE = {"from": "2026-01-01", "to": "2026-07-01", "timezone": "Europe/Brussels"}


def _told(url: str, snapshot: str, org_id: str = ORG) -> Settled:
    with psycopg.connect(url) as connection:
        connection.execute(session_sql(org_id))
        row = connection.execute(settled_tables(snapshot)).fetchone()
    assert row is not None
    return Settled(snapshot, row[0].split(","))


def _versioned(url: str) -> set[str]:
    query = """select relname from pg_class where relnamespace = 'ingest'::regnamespace and relkind = 'p'"""
    with psycopg.connect(url) as connection:
        return {name for (name,) in connection.execute(query)}


def test_the_tables_that_keep_versions_are_all_known(exporter: Exporter) -> None:
    assert set(COUNTED) <= set(VERSIONED)
    assert set(VERSIONED) == _versioned(exporter.database.url)


async def test_a_table_is_settled_until_a_row_of_it_ends(database: Database, exporter: Exporter) -> None:
    before = exporter.snapshot()
    assert _told(database.url, before).tables == set(VERSIONED)
    whole = {
        name: await exporter.export(exporter.spec({"dataset": name, "format": "csv", **RANGE}), before, 7) for name in ("leads", "messages")
    }
    with psycopg.connect(database.url) as connection, connection.transaction(), connection.cursor() as cursor:
        for table in ("lead_scores", "contacts", "messages"):
            (some,) = cursor.execute(f"select min(id) from ingest.{table}_current where org_id = %s", [ORG]).fetchone() or (None,)
            assert some is not None
            end(cursor, table, ORG, some)
    assert _told(database.url, before).tables == set(VERSIONED) - {"lead_scores", "contacts", "messages"}
    assert _told(database.url, before, "org_other").tables == set(VERSIONED)
    deadline = time.monotonic() + 60  # a transaction of another test may be older than these
    while _told(database.url, exporter.snapshot()).tables != set(VERSIONED):
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)
    for name, then in whole.items():
        again = await exporter.export(exporter.spec({"dataset": name, "format": "csv", **RANGE}), before, 7)
        assert again.files == then.files
        now = await exporter.export(exporter.spec({"dataset": name, "format": "csv", **RANGE}), exporter.snapshot(), 7)
        assert now.files != then.files


def _counted(exported: Exported) -> dict[str, int]:
    """How many messages each conversation has, as leads show it."""
    leads = [json.loads(line) for line in exported.files["jsonl"].splitlines()]
    return {talk["id"]: talk["message_count"] for lead in leads for talk in lead["conversations"]}


async def test_messages_that_came_since_are_not_counted(database: Database, exporter: Exporter) -> None:
    spec = exporter.spec({"dataset": "leads", "format": "jsonl"})
    before = exporter.snapshot()
    whole = await exporter.export(spec, before, 3)
    counted = _counted(whole)
    talk = next(id_ for id_, messages in counted.items() if messages)
    assert "messages" in _told(database.url, before).counted

    def say(times: int, place: str) -> None:
        with psycopg.connect(database.url) as connection, connection.transaction():
            for n in range(times):
                connection.execute(
                    "insert into ingest.messages (org_id, id, conversation_id, created_at, sender_kind) values (%s, %s, %s, now(), 'visitor')",
                    [ORG, f"msg_{place}_{n}", talk],
                )

    say(2, "few")
    assert "messages" in _told(database.url, before).counted
    assert (await exporter.export(spec, before, 3)).files == whole.files
    assert _counted(await exporter.export(spec, exporter.snapshot(), 3)) == counted | {talk: counted[talk] + 2}
    say(300, "many")
    assert "messages" not in _told(database.url, before).counted
    assert (await exporter.export(spec, before, 3)).files == whole.files
    assert _counted(await exporter.export(spec, exporter.snapshot(), 3)) == counted | {talk: counted[talk] + 302}


@pytest.mark.parametrize("dataset, fmt", [("leads", "jsonl"), ("leads", "csv"), ("conversations", "json")])
def test_what_rows_carry_is_the_same_whether_it_is_added_up_by_row_or_by_page(exporter: Exporter, dataset: str, fmt: str) -> None:
    spec, snapshot = exporter.spec({"dataset": dataset, "format": fmt}), exporter.snapshot()
    with psycopg.connect(exporter.database.url) as connection:
        connection.execute(session_sql(ORG))
        for rows_max in (1, 3, 1000):
            by_page, by_row = (
                connection.execute(registry.get(dataset).plan_query(spec, snapshot, None, rows_max, most)).fetchone()
                for most in (None, 2**60)
            )
            assert by_page == by_row
            assert by_page is not None and by_page[1] > 400 * by_page[0]


async def test_what_changed_since_is_counted_as_it_was(database: Database, exporter: Exporter) -> None:
    """A message that ends, others that move to another conversation, a lead that is new, one that ends: the same plan, counts and bytes. Also of a snapshot
    beside which a transaction was under way: what ended after that one began may have ended before the snapshot."""
    specs = [exporter.spec({"dataset": "leads", "format": "jsonl"}), exporter.spec({"dataset": "messages", "format": "csv", **RANGE})]
    counted = _counted(await exporter.export(specs[0], exporter.snapshot(), 3))
    there, elsewhere, third = sorted((id_ for id_, messages in counted.items() if messages), key=lambda id_: counted[id_])[:3]

    def move(cursor: psycopg.Cursor[Any], talk: str, to: str) -> None:
        """All messages of a conversation; but for the first one, which ends."""
        messages = cursor.execute(
            "select id, created_at from ingest.messages_current where org_id = %s and conversation_id = %s order by id", [ORG, talk]
        ).fetchall()
        for n, (id_, at) in enumerate(messages):
            end(cursor, "messages", ORG, id_)
            if n:
                cursor.execute(
                    "insert into ingest.messages (org_id, id, conversation_id, created_at, sender_kind) values (%s, %s, %s, %s, 'visitor')",
                    [ORG, id_, to, at],
                )

    with psycopg.connect(database.url) as under_way:
        under_way.execute("select pg_current_xact_id()")
        with psycopg.connect(database.url) as connection, connection.cursor() as cursor:
            move(cursor, third, there)
        before = exporter.snapshot()
    wholes = [await exporter.export(spec, before, 3) for spec in specs]
    with psycopg.connect(database.url) as connection, connection.cursor() as cursor:
        move(cursor, there, elsewhere)
        (lead,) = cursor.execute("select min(id) from ingest.leads_current where org_id = %s", [ORG]).fetchone() or ("",)
        end(cursor, "leads", ORG, lead)
        cursor.execute(
            """insert into ingest.leads (org_id, id, email, source, created_at, last_activity_at, status, custom_properties)
                values (%s, 'lead_new', 'new@example.org', 'api', '2026-01-01', now(), 'new', '{}')""",
            [ORG],
        )
    told = _told(database.url, before)
    assert {"leads", "messages"} <= told.counted and not {"leads", "messages"} & told.tables
    for spec, whole in zip(specs, wholes, strict=True):
        assert (await exporter.export(spec, before, 3)).files == whole.files
        assert (await exporter.export(spec, exporter.snapshot(), 3)).files != whole.files


@pytest.mark.parametrize("fmt", ["csv", "xlsx"])
@pytest.mark.parametrize("dataset", ["leads", "messages"])
def test_a_plan_reads_the_index_alone(exporter: Exporter, dataset: str, fmt: str) -> None:
    """Also where a cell's length is limited: no column is read that the index doesn't hold."""
    spec = exporter.spec({"dataset": dataset, "format": fmt, **RANGE})
    settled = _told(exporter.database.url, exporter.snapshot())
    query = registry.get(dataset).plan_query(spec, settled, None, 1000, None)
    with psycopg.connect(exporter.database.url, autocommit=True) as connection:
        connection.execute(f"vacuum analyze ingest.{dataset}_current")  # as autovacuum does: who sees a page's rows is known
        with connection.transaction():
            connection.execute(session_sql(ORG))
            plan = "\n".join(line for (line,) in connection.execute(f"explain (costs off) {query}"))
    assert f"Index Only Scan using {dataset}_current_by_time" in plan


@pytest.mark.parametrize(
    "dataset", [d for d in registry.all_datasets().values() if isinstance(d, Entities) and d.blocks], ids=lambda d: d.name
)
def test_blocks_count_every_text_that_a_plan_looks_for(exporter: Exporter, dataset: Entities) -> None:
    """Else a text longer than a cell could lie in a row whose blocks don't tell (`Entities._maybe_long`)."""
    given = {"org_id": "'org_blocks'", "id": "'1'", "created_at": "now()"}
    given |= {
        "leads": {"email": "''", "source": "'api'", "status": "'new'", "custom_properties": "''", "last_activity_at": "now()"},
        "messages": {"conversation_id": "'c'", "sender_kind": "'bot'"},
    }[dataset.name]
    for text in dataset.wide:
        row = given | {text: f"repeat('é', {BLOCK_BYTES * 2})"}
        with psycopg.connect(exporter.database.url) as connection:
            insert = f"insert into ingest.{dataset.table} ({', '.join(row)}) values ({', '.join(row.values())}) returning blocks"
            assert connection.execute(insert).fetchone() == (4,), text
            connection.rollback()
