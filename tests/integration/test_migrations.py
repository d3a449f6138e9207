"""The migrations leave tenants apart, whoever forgets to say who they are."""

import asyncpg
import psycopg
import pytest

from tests.conftest import Database


def test_every_table_with_customers_data_forces_row_level_security(database: Database) -> None:
    with psycopg.connect(database.url) as connection:
        rows = connection.execute(
            """SELECT n.nspname || '.' || c.relname, c.relrowsecurity AND c.relforcerowsecurity, pg_get_userbyid(c.relowner)
               FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
               WHERE c.relkind IN ('r', 'p') AND n.nspname IN ('ingest', 'tenancy', 'exports', 'delivery')"""
        ).fetchall()
    queues = {f"{schema}.{table}" for schema in ("ingest", "exports", "delivery") for table in ("inbox", "outbox")}
    not_customers = queues | {
        "delivery.signing_keys",
        "delivery.sftp_host_keys",
        "delivery.sftp_failures",
        "ingest.positions",
        "ingest.arrivals_noted",
        "ingest.horizons",
        "delivery.reconciliations",
        "tenancy.request_times",
    }
    assert len(rows) > 20
    assert [name for name, forced, _ in rows if not forced and name not in not_customers] == []
    assert {owner for *_, owner in rows} == {"waybill_owner"}


async def test_a_service_sees_only_the_organisation_it_names(database: Database) -> None:
    connection = await asyncpg.connect(database.as_service("ingest"))
    try:
        for org in ("org_a", "org_b"):
            async with connection.transaction():
                await connection.execute("SELECT set_config('app.org_id', $1, true)", org)
                await connection.execute("INSERT INTO ingest.teams (org_id, id, name) VALUES ($1, 'team_1', 'T')", org)
        assert await connection.fetchval("SELECT count(*) FROM ingest.teams") == 0
        async with connection.transaction():
            await connection.execute("SELECT set_config('app.org_id', 'org_a', true)")
            assert [r["org_id"] for r in await connection.fetch("SELECT org_id FROM ingest.teams")] == ["org_a"]
        refused = None
        try:
            async with connection.transaction():
                await connection.execute("SELECT set_config('app.org_id', 'org_a', true)")
                await connection.execute("INSERT INTO ingest.teams (org_id, id, name) VALUES ('org_b', 'team_2', 'T')")
        except asyncpg.InsufficientPrivilegeError as error:
            refused = error
        assert refused is not None
    finally:
        await connection.close()


SECRET = (
    "SELECT sealed FROM delivery.destinations",
    "SELECT config FROM delivery.destinations",
    "UPDATE delivery.destinations SET config = '{}'",
)
BROUGHT = (
    "UPDATE delivery.deliveries SET due_at = now()", "DELETE FROM delivery.deliveries", "SELECT recipients FROM delivery.deliveries",
    "SELECT note FROM delivery.delivery_files", "SELECT error_message FROM delivery.delivery_attempts",
)  # fmt: skip


async def test_only_delivery_reads_where_files_go_and_changes_what_was_brought(database: Database) -> None:
    """Nor does export_request as the role in which it goes across organisations."""
    refused = []
    connection = await asyncpg.connect(database.as_service("export_request"))
    try:
        for into in ("SELECT 1", "SET LOCAL ROLE waybill_dispatcher"):
            for statement in SECRET + BROUGHT:
                with pytest.raises(asyncpg.InsufficientPrivilegeError):
                    async with connection.transaction():
                        await connection.execute(into)
                        await connection.execute("SELECT set_config('app.org_id', 'org_a', true)")
                        await connection.execute(statement)
                refused.append((into, statement))
        others = "SELECT rolname FROM pg_roles WHERE rolname LIKE 'waybill%' AND pg_has_role(oid, 'waybill_courier', 'MEMBER')"
        may = {row["rolname"] for row in await connection.fetch(others)}
    finally:
        await connection.close()
    assert len(refused) == 2 * len(SECRET + BROUGHT)
    assert may == {"waybill_courier", "waybill_delivery"}
