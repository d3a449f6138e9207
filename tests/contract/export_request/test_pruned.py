"""Exports and pruning at the same time: what is being accepted is waited for, and what reads at an instant that goes meanwhile hears of it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest

from services.ingest.pruning.pruner import Pruner
from services.ingest.store import prepare
from shared.database import create_pool
from tests.conftest import Database
from tests.contract.export_request.conftest import LEADS, Caller, World
from tests.integration.ingest.room import settled

AGED = "INSERT INTO ingest.horizons (at, ended_before) SELECT now() - interval '30 days', pg_snapshot_xmin(pg_current_snapshot()) ON CONFLICT DO NOTHING"
END = """WITH gone AS (DELETE FROM ingest.leads_current WHERE org_id = $1 RETURNING *)
         INSERT INTO ingest.leads_ended (org_id, id, added, ended, email, status, source, tags, custom_properties, created_at)
         SELECT org_id, id, added, pg_current_xact_id(), email, status, source, tags, custom_properties, created_at FROM gone"""
SEEN = """SELECT count(*) FROM ingest.leads l, exports.exports e WHERE e.id = $1 AND l.org_id = e.org_id AND pg_visible_in_snapshot(l.added, e.snapshot::pg_snapshot)
          AND (l.ended IS NULL OR NOT pg_visible_in_snapshot(l.ended, e.snapshot::pg_snapshot))"""
WAITS = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%INTO exports.idempotency_keys%' AND pid <> pg_backend_pid())"


@asynccontextmanager
async def open_connection(database: Database) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(database.url)
    try:
        yield connection
    finally:
        await connection.close()


@pytest.fixture
async def pruner(database: Database) -> AsyncIterator[Pruner]:
    async with create_pool(database.as_service("ingest"), "ingest", 2, prepare, enable_seqscan="off") as pool:
        yield Pruner(pool, days=7, seconds=3600)


async def until(connection: asyncpg.Connection, query: str, *values: Any) -> None:
    async with asyncio.timeout(10):
        while not await connection.fetchval(query, *values):
            await asyncio.sleep(0.01)


async def test_an_export_that_is_being_accepted_loses_nothing(world: World, pruner: Pruner, database: Database) -> None:
    caller, other = await world.organisation(leads=3), await world.organisation(leads=2)
    async with open_connection(database) as blocking:
        held = blocking.transaction()
        await held.start()
        await blocking.execute("LOCK TABLE exports.idempotency_keys IN SHARE MODE")  # a request takes its instant, and then waits
        asking = asyncio.create_task(caller.call("POST", "/v1/exports", json=LEADS, headers={"Idempotency-Key": "k"}))
        await until(world.admin, WAITS)
        for org_id in (caller.org_id, other.org_id):
            await world.admin.execute(END, org_id)
        await settled(world.admin)
        await world.admin.execute(AGED)
        assert await pruner.round() == 2, "the other organisation's go"
        assert await world.admin.fetchval("SELECT count(*) FROM ingest.prunings WHERE org_id = $1", caller.org_id) == 0
        await held.rollback()
    export = (await asking).json()
    assert await world.admin.fetchval(SEEN, export["id"]) == 3
    assert await pruner.round() == 0
    assert await world.admin.fetchval(SEEN, export["id"]) == 3
    await world.drive(export["id"])
    assert (await caller.get(export["id"]))["progress"]["rows_written"] == 3


async def test_between_the_mark_and_the_end_nothing_old_is_accepted_and_nothing_new_harmed(world: World, pruner: Pruner) -> None:
    caller = await world.organisation(leads=3)
    kept, expired = await caller.completed(), await caller.completed()
    await world.admin.execute("UPDATE exports.exports SET status = 'expired' WHERE id = $1", expired["id"])
    await world.admin.execute(END, caller.org_id)
    await settled(world.admin)
    horizon = await world.admin.fetchval("SELECT pg_snapshot_xmin(pg_current_snapshot())::text")
    todo = await pruner.mark(caller.org_id, int(horizon))
    assert todo is not None
    refused = [await again(caller, expired["id"]), await delta(caller, expired["id"])]
    assert refused == [410, 410]
    assert (await caller.call("GET", f"/v1/exports/{expired['id']}/diff/{kept['id']}")).status_code == 410
    taken = [
        await again(caller, kept["id"]),
        await delta(caller, kept["id"]),
        (await caller.call("POST", "/v1/exports", json=LEADS)).status_code,
    ]
    assert taken == [202, 202, 202]
    assert await pruner.prune(todo) == 0
    await caller.call("DELETE", f"/v1/exports/{kept['id']}")
    assert await pruner.mark(caller.org_id, int(horizon)) is None, "its re-run keeps the instant"
    assert await world.admin.fetchval(SEEN, kept["id"]) == 3


async def test_a_cursor_whose_instant_was_pruned_says_so(world: World, pruner: Pruner) -> None:
    caller = await world.organisation()
    insert = """INSERT INTO ingest.messages (org_id, id, conversation_id, created_at, content)
                SELECT $1, 'm' || i, 'c', '2026-03-01T00:00:00Z', 'x' FROM generate_series(1, 5) i"""
    await world.admin.execute(insert, caller.org_id)
    page = (await caller.call("GET", "/v1/export/messages?limit=2")).json()
    assert (await caller.call("GET", f"/v1/export/messages?limit=2&cursor={page['next_cursor']}")).status_code == 200
    await world.admin.execute("UPDATE ingest.messages SET content = 'y' WHERE org_id = $1", caller.org_id)
    await settled(world.admin)
    await world.admin.execute(AGED)
    await pruner.round()
    answer = await caller.call("GET", f"/v1/export/messages?limit=2&cursor={page['next_cursor']}")
    assert (answer.status_code, answer.json()["error"]["code"]) == (410, "gone")
    assert "pruned" in answer.json()["error"]["message"]


async def again(caller: Caller, export_id: str) -> int:
    return (await caller.call("POST", f"/v1/exports/{export_id}/rerun")).status_code


async def delta(caller: Caller, export_id: str) -> int:
    return (await caller.call("POST", "/v1/exports", json={"dataset": "leads", "since": export_id})).status_code
