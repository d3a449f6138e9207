"""A database with organisations and keys, and ingest's store and HTTP on it, in the test's own process."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, cast

import asyncpg
import httpx
import msgspec
from fastapi import FastAPI

from services.ingest.app import create_http
from services.ingest.core.records import Record, decode
from services.ingest.leads import Leads
from services.ingest.scores.keeping import Scores
from services.ingest.store import Store, prepare
from shared.clock import utc_now
from shared.database import create_pool
from shared.http import Authenticator, new_key
from shared.outbox import Outbox
from tests.conftest import Database
from tests.unit.ingest.samples import as_bytes

ORGS = ("org_a", "org_b")
# Every row of the schema goes. With TRUNCATE each of its hundred tables and indexes would be a new file for each test.
EMPTIED = """
DO $$ DECLARE t regclass; BEGIN
    FOR t IN SELECT oid FROM pg_class WHERE relnamespace = 'ingest'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition LOOP
        EXECUTE format('DELETE FROM %s', t);
    END LOOP;
END $$
"""


@dataclass
class Room:
    pool: asyncpg.Pool
    admin: asyncpg.Connection  # superuser: sees everything
    store: Store
    api: FastAPI
    keys: dict[str, str]

    def client(self, org_id: str = "org_a") -> httpx.AsyncClient:
        transport = httpx.ASGITransport(self.api, raise_app_exceptions=False)
        return httpx.AsyncClient(transport=transport, base_url="http://ingest", headers={"authorization": f"Bearer {self.keys[org_id]}"})

    async def write(self, *records: dict[str, Any], org_id: str = "org_a") -> tuple[int, int]:
        """Accepted and stale."""
        written = await self.store.write([read(r, org_id) for r in records])
        return written.accepted, written.stale

    async def current(self, table: str, column: str, org_id: str = "org_a") -> dict[str, Any]:
        rows = await self.admin.fetch(f'SELECT id, "{column}" FROM ingest.{table} WHERE org_id = $1 AND ended IS NULL', org_id)
        return {id_: value for id_, value in rows}

    async def versions(self, table: str, id_: str) -> list[Any]:
        """Every version of an id, oldest first: (version, ended or not)."""
        query = f"SELECT version, ended IS NOT NULL FROM ingest.{table} WHERE id = $1 ORDER BY added"
        return [tuple(row) for row in await self.admin.fetch(query, id_)]


def read(record: dict[str, Any], org_id: str) -> Record:
    return msgspec.structs.replace(decode(as_bytes(record)), org_id=org_id)


def team(id_: str, name: str | None = None, **envelope: Any) -> dict[str, Any]:
    data = {"data": {"name": name}} if name is not None else {}
    return {"type": "team", "id": id_, **envelope, **data}


async def settled(connection: asyncpg.Connection) -> None:
    """Once all transactions have ended that run now, those of other tests too: what ends behind one of them isn't old before it ends."""
    async with asyncio.timeout(60):
        newest = await connection.fetchval("SELECT pg_snapshot_xmax(pg_current_snapshot())::text")
        while not await connection.fetchval("SELECT pg_snapshot_xmin(pg_current_snapshot()) >= $1::text::xid8", newest):
            await asyncio.sleep(0.01)


@dataclass(frozen=True)
class Connections:
    """To a module's database. A new one has to learn of every table and plan every statement, which costs more than most tests do."""

    pool: asyncpg.Pool
    keys: asyncpg.Pool
    admin: asyncpg.Connection

    async def quiet(self) -> None:
        """Every connection is given back."""
        async with asyncio.timeout(60):
            while any(pool.get_idle_size() < pool.get_size() for pool in (self.pool, self.keys)):
                await asyncio.sleep(0.001)


@asynccontextmanager
async def connections_to(database: Database) -> AsyncIterator[Connections]:
    admin = await asyncpg.connect(database.url)
    url = database.as_service("ingest")
    async with create_pool(url, "ingest", 6, prepare, enable_seqscan="off") as pool, create_pool(url, "ingest-keys", 2) as keys:
        yield Connections(pool, keys, admin)
    await admin.close()


@asynccontextmanager
async def room_of(connections: Connections) -> AsyncIterator[Room]:
    """While nobody else has the connections; leaves ingest's tables empty."""
    pool, admin, keys = connections.pool, connections.admin, {}
    for org_id in ORGS:
        key_id, shown, hash_ = new_key()
        keys[org_id] = shown
        await admin.execute("INSERT INTO tenancy.organisations (org_id, name) VALUES ($1, $1) ON CONFLICT DO NOTHING", org_id)
        query = "INSERT INTO tenancy.api_keys (id, org_id, name, hash, scopes) VALUES ($1, $2, '', $3, $4)"
        await admin.execute(query, key_id, org_id, hash_, ["records:write", "leads:read", "leads:write"])
    auth = Authenticator(connections.keys)
    outbox = Outbox(pool, cast(Any, None), "ingest")  # nothing relays here: what is to be published stays in the table
    store = Store(pool, outbox)
    api = create_http(store, Leads(store, pool, outbox, utc_now), Scores(pool), auth)
    try:
        yield Room(pool, admin, store, api, keys)
    finally:
        await connections.quiet()
        await admin.execute(EMPTIED)
