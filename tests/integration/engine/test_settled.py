"""Where nothing has ended since a snapshot, exports read current rows alone: the same bytes, whatever ended in which table."""

import psycopg

from shared.datasets.sql import VERSIONED, session_sql, settled_tables
from tests.conftest import Database
from tests.integration.engine.changing import end
from tests.integration.engine.conftest import ORG, Exporter

RANGE = {"from": "2026-01-01", "to": "2026-07-01", "timezone": "Europe/Brussels"}


def _settled(url: str, snapshot: str, org_id: str = ORG) -> set[str]:
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
