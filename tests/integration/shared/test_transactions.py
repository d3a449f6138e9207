"""Transactions on a real PostgreSQL: whose rows they see, what they leave behind on a connection, and what of them stays."""

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest

from shared.database import across_tenants, create_pool, savepoint, tenant, transaction
from tests.conftest import Database

WHO = "SELECT coalesce(current_setting('app.org_id', true), '') AS org, current_user::text AS role, current_setting('statement_timeout') AS timeout"


@pytest.fixture
async def pool(database: Database) -> AsyncIterator[asyncpg.Pool]:
    async with create_pool(database.as_service("export_request"), "test", 1) as made:  # one connection: the next one has it too
        yield made


@pytest.mark.parametrize("org_id", ["org_1", "o'; DROP TABLE exports.exports; --", "\\', ''", "Größe$1"])
async def test_a_tenants_transaction_is_of_that_organisation_whatever_its_id_looks_like(pool: asyncpg.Pool, org_id: str) -> None:
    async with tenant(pool, org_id) as connection:
        assert (await connection.fetchrow(WHO))["org"] == org_id


async def test_a_connection_comes_back_without_organisation_role_or_settings(pool: asyncpg.Pool) -> None:
    before = await pool.fetchrow(WHO)
    async with tenant(pool, "org_1") as connection:
        await connection.execute("SET LOCAL statement_timeout = 1234")
    after_one = await pool.fetchrow(WHO)
    async with across_tenants(pool) as connection:
        assert (await connection.fetchrow(WHO))["role"] == "waybill_dispatcher"
    after_all = await pool.fetchrow(WHO)
    with pytest.raises(asyncpg.DivisionByZeroError):
        async with tenant(pool, "org_2") as connection:
            await connection.execute("SELECT 1 / 0")
    assert dict(before) == dict(after_one) == dict(after_all) == dict(await pool.fetchrow(WHO))


async def test_who_is_cancelled_leaves_nothing_behind(pool: asyncpg.Pool) -> None:
    before = await pool.fetchrow(WHO)
    inside = asyncio.Event()

    async def wait() -> None:
        async with tenant(pool, "org_1") as connection:
            await connection.execute("SELECT set_config('application_name', 'left behind', true)")
            inside.set()
            await connection.execute("SELECT pg_sleep(60)")

    task = asyncio.create_task(wait())
    await inside.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert dict(before) == dict(await pool.fetchrow(WHO))
    assert await pool.fetchval("SELECT current_setting('application_name')") == "waybill-test"


async def test_a_reader_sees_one_instant_and_writes_nothing(pool: asyncpg.Pool) -> None:
    async with tenant(pool, "org_1", "repeatable_read", readonly=True) as connection:
        how = await connection.fetchrow(
            "SELECT current_setting('transaction_isolation') AS isolation, current_setting('transaction_read_only') AS readonly"
        )
        assert dict(how) == {"isolation": "repeatable read", "readonly": "on"}


async def test_of_a_part_that_fails_or_only_asks_nothing_stays(pool: asyncpg.Pool) -> None:
    async with transaction(pool, "BEGIN; CREATE TEMP TABLE kept (what text) ON COMMIT DROP") as connection:
        async with savepoint(connection):
            await connection.execute("INSERT INTO kept VALUES ('outer')")
            with pytest.raises(asyncpg.DivisionByZeroError):
                async with savepoint(connection):
                    await connection.execute("INSERT INTO kept VALUES ('failed')")
                    await connection.execute("SELECT 1 / 0")
            async with savepoint(connection, keep=False):
                await connection.execute("INSERT INTO kept VALUES ('asked')")
        assert [row["what"] for row in await connection.fetch("SELECT what FROM kept")] == ["outer"]
