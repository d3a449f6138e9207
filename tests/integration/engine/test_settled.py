"""Where nothing has ended since a snapshot, exports read current rows alone, and count some by an index: the same bytes, whatever ended or came in which table."""

import json

import psycopg
import pytest

from shared.datasets import registry
from shared.datasets.sql import COUNTED, VERSIONED, session_sql, settled_tables
from tests.conftest import Database
from tests.integration.engine.changing import end
from tests.integration.engine.conftest import ORG, Exported, Exporter

RANGE = {"from": "2026-01-01", "to": "2026-07-01", "timezone": "Europe/Brussels"}


def _settled(url: str, snapshot: str, org_id: str = ORG) -> set[str]:
    return {name.removesuffix("+") for name in _told(url, snapshot, org_id)}


def _told(url: str, snapshot: str, org_id: str = ORG) -> set[str]:
    with psycopg.connect(url) as connection:
        connection.execute(session_sql(org_id))
        row = connection.execute(settled_tables(snapshot)).fetchone()
    assert row is not None
    return set(row[0].split(","))


def _versioned(url: str) -> set[str]:
    query = """select relname from pg_class where relnamespace = 'ingest'::regnamespace and relkind = 'p'"""
    with psycopg.connect(url) as connection:
        return {name for (name,) in connection.execute(query)}


def test_the_tables_that_keep_versions_are_all_known(exporter: Exporter) -> None:
    assert set(COUNTED) <= set(VERSIONED)
    assert set(VERSIONED) == _versioned(exporter.database.url)


async def test_a_table_is_settled_until_a_row_of_it_ends(database: Database, exporter: Exporter) -> None:
    before = exporter.snapshot()
    assert _settled(database.url, before) == set(VERSIONED)
    whole = {
        name: await exporter.export(exporter.spec({"dataset": name, "format": "csv", **RANGE}), before, 7) for name in ("leads", "messages")
    }
    with psycopg.connect(database.url) as connection, connection.transaction(), connection.cursor() as cursor:
        for table in ("lead_scores", "contacts", "messages"):
            (some,) = cursor.execute(f"select min(id) from ingest.{table}_current where org_id = %s", [ORG]).fetchone() or (None,)
            assert some is not None
            end(cursor, table, ORG, some)
    assert _settled(database.url, before) == set(VERSIONED) - {"lead_scores", "contacts", "messages"}
    assert _settled(database.url, before, "org_other") == set(VERSIONED)
    assert _settled(database.url, exporter.snapshot()) == set(VERSIONED)
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
    assert "messages+" in _told(database.url, before)

    def say(times: int, place: str) -> None:
        with psycopg.connect(database.url) as connection, connection.transaction():
            for n in range(times):
                connection.execute(
                    "insert into ingest.messages (org_id, id, conversation_id, created_at, sender_kind) values (%s, %s, %s, now(), 'visitor')",
                    [ORG, f"msg_{place}_{n}", talk],
                )

    say(2, "few")
    assert "messages+" in _told(database.url, before)
    assert (await exporter.export(spec, before, 3)).files == whole.files
    assert _counted(await exporter.export(spec, exporter.snapshot(), 3)) == counted | {talk: counted[talk] + 2}
    say(300, "many")
    assert "messages" in _told(database.url, before)
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
