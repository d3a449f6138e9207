"""Destinations on a real database and a real store, without Kafka: events go straight to the intake. The clock is the test's, the destination a folder."""

import asyncio
import hashlib
import json
import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg

from services.delivery.destinations.app import DestinationParts, assemble
from services.delivery.destinations.store import COURIER
from services.delivery.destinations.telling import Failed, Paused, Resumed
from services.delivery.settings import Settings
from shared.clock import utc_now
from shared.database import Connection, across_tenants, database_now
from shared.http import Authenticator, Principal
from shared.ids import new_id
from shared.outbox import Outbox
from shared.sealing import DESTINATION_SECRETS, Seal
from shared.storage import ObjectStore
from tests.integration.delivery.destinations.folder import FolderCarrier
from tests.integration.delivery.room import until
from tests.integration.delivery.webhooks.room import Clock, by, event_message

SECRET_KEY = "0123456789abcdef" * 4
TYPE = "folder"


@dataclass
class Telling:
    """Who is told, kept in the database with the rest of the transaction: as the real one is."""

    failed_of: list[Failed] = field(default_factory=list)
    paused_of: list[Paused] = field(default_factory=list)
    resumed_of: list[Resumed] = field(default_factory=list)

    async def failed(self, connection: Connection, what: Failed) -> None:
        await connection.execute("SELECT 1 FROM delivery.deliveries WHERE id = $1", what.delivery_id)
        self.failed_of.append(what)

    async def paused(self, connection: Connection, what: Paused) -> None:
        await connection.execute("SELECT 1 FROM delivery.destinations WHERE id = $1", what.destination_id)
        self.paused_of.append(what)

    async def resumed(self, connection: Connection, what: Resumed) -> None:
        self.resumed_of.append(what)


@dataclass
class Process:
    """One delivery process, as far as destinations go."""

    parts: DestinationParts
    carrier: FolderCarrier
    told: Telling
    tasks: list[asyncio.Task[None]] = field(default_factory=list)

    def start(self) -> None:
        self.tasks.append(asyncio.create_task(self.parts.dispatcher.run()))

    async def stop(self) -> None:
        """As SIGTERM would."""
        for task in self.tasks:
            task.cancel()
        for ended in await asyncio.gather(*self.tasks, return_exceptions=True):
            if isinstance(ended, Exception):
                raise ended
        self.tasks.clear()

    async def kill(self) -> None:
        """As SIGKILL would: nothing is recorded, renewed or handed back."""
        dispatcher = self.parts.dispatcher
        dispatcher._let_go = _nothing  # type: ignore[method-assign]
        dispatcher._renew = _nothing  # type: ignore[method-assign, assignment]
        under = [*dispatcher._tasks]
        for task in [*self.tasks, *under]:
            task.cancel()
        await asyncio.gather(*self.tasks, *under, return_exceptions=True)
        self.tasks.clear()

    def wake(self) -> None:
        self.parts.dispatcher.wake()


async def _nothing(*_: object) -> None:
    return None


@dataclass
class Room:
    """The database, the store, the clock, the folder, and what tests do with them."""

    url: str
    pool: asyncpg.Pool
    objects: ObjectStore
    clock: Clock
    folder: Path

    @asynccontextmanager
    async def process(
        self,
        started: bool = True,
        carrier: FolderCarrier | None = None,
        types: Sequence[str] = (TYPE,),
        off: timedelta | None = None,
        **settings: Any,
    ) -> AsyncIterator[Process]:
        """`off`: by how much the process's clock is wrong, beside PostgreSQL's; else all go by the test's."""
        given: dict[str, Any] = {"destination_lease_seconds": 60, "destination_time_scale": 1.0, "store": "file:///nowhere"} | settings
        carrier, told = carrier or FolderCarrier(), Telling()
        parts = assemble(
            Settings(delivery_database_url=self.url, secret_key=SECRET_KEY, **given), self.pool, self.objects, Outbox(self.pool, None, "delivery"),
            Authenticator(self.pool), told, dict.fromkeys(types, carrier),
            *((lambda: utc_now() + off, database_now) if off is not None else (self.clock, self.clock.of_database)),
        )  # fmt: skip
        made = Process(parts, carrier, told)
        if started:
            made.start()
        try:
            yield made
        finally:
            await made.stop()
            await parts.close()

    async def destination(self, org_id: str, path: str = "", secrets_of: dict[str, str] | None = None, kind: str = TYPE) -> str:
        destination_id, config = (
            new_id("dst"),
            {"folder": str(self.folder / org_id), "path": path, "host": "-", "port": 22, "directory": ""},
        )
        sealed = Seal([SECRET_KEY], DESTINATION_SECRETS).seal(json.dumps(secrets_of).encode(), destination_id) if secrets_of else None
        async with across_tenants(self.pool, COURIER) as connection:
            await connection.execute(
                """INSERT INTO delivery.destinations (id, org_id, name, type, config, sealed, secrets, created_by, created_at, updated_at)
                   VALUES ($1, $2, 'Warehouse', $3, $4, $5, $6, 'key:test', $7, $7)""",
                destination_id, org_id, kind, json.dumps(config), sealed, sorted(secrets_of or {}), self.clock(),
            )  # fmt: skip
        return destination_id

    async def export(
        self, org_id: str, destinations: list[dict[str, Any]], files: dict[str, bytes] | None = None, schedule_id: str | None = None,
        since: str | None = None,
    ) -> str:  # fmt: skip
        """A completed export as export_request and delivery have it, written as superuser; its files are in the store."""
        export_id = new_id("exp")
        files = {"leads.csv": b"id\r\n1\r\n"} if files is None else files
        spec = {"timezone": "Europe/Brussels", "from_": "2026-02-28T23:00:00Z", "to": "2026-03-31T22:00:00Z"}
        async with self.pool.acquire() as connection:
            await connection.execute("SET ROLE none")
            await connection.execute(
                """INSERT INTO exports.exports (id, org_id, request, dataset, formats, status, snapshot, spec, created_at, progressed_at, expires_at, destinations,
                       schedule_id, since)
                   VALUES ($1, $2, '{}', 'leads', '{csv}', 'completed', '1:1:', $3, $4, $4, $4::timestamptz + interval '30 days', $5, $6, $7)""",
                export_id, org_id, json.dumps(spec), self.clock(), json.dumps(destinations), schedule_id, since,
            )  # fmt: skip
            await connection.execute(
                "INSERT INTO delivery.publications (export_id, org_id, manifest, published_at) VALUES ($1, $2, '{}', $3)", export_id, org_id, self.clock()
            )  # fmt: skip
            for number, (name, data) in enumerate(files.items(), 1):
                key = f"files/{org_id}/{export_id}/{name}"
                await asyncio.to_thread(self.objects.put, key, data)
                await connection.execute(
                    """INSERT INTO delivery.assemblies (export_id, format, file_number, org_id, name, media_type, key, express, head, separator, tail, empty, state,
                           rows, bytes, sha256)
                       VALUES ($1, 'csv', $2, $3, $4, 'text/csv', $5, false, '', '', '', '', 'assembled', 1, $6, $7)""",
                    export_id, number, org_id, name, key, len(data), hashlib.sha256(data).hexdigest(),
                )  # fmt: skip
            await connection.execute("RESET ROLE")
        return export_id

    async def completed(self, process: Process, org_id: str, destinations: list[dict[str, Any]], **more: Any) -> str:
        """An export has ended, and delivery heard of it."""
        export_id = await self.export(org_id, destinations, **more)
        await process.parts.intake.handle(event_message(export_id, "completed", self.clock()))
        return export_id

    async def change_export(self, export_id: str, change: str) -> None:
        async with self.pool.acquire() as connection:
            await connection.execute("SET ROLE none")
            await connection.execute(f"UPDATE exports.exports SET {change} WHERE id = $1", export_id)
            await connection.execute("RESET ROLE")

    async def rows(self, query: str, *values: Any) -> list[Any]:
        """As superuser."""
        async with across_tenants(self.pool, "none") as connection:
            return list(await connection.fetch(query, *values))

    async def deliveries(self, export_id: str) -> list[Any]:
        return await self.rows("SELECT * FROM delivery.deliveries WHERE export_id = $1 ORDER BY key", export_id)

    async def delivery(self, export_id: str, **wanted: Any) -> Any:
        """The export's only delivery, as soon as it is so."""

        async def look() -> Any:
            (found,) = await self.deliveries(export_id)
            return found if all(found[name] == value for name, value in wanted.items()) else None

        return await until(look)

    async def rests(self, process: Process, export_id: str, attempts: int) -> Any:
        """Its delivery, once so many attempts are recorded and nobody is at it."""

        async def look() -> Any:
            process.wake()
            (found,) = await self.deliveries(export_id)
            return found if found["attempts"] == attempts and found["claimed_by"] is None else None

        return await until(look)


def to(destination_id: str) -> list[dict[str, Any]]:
    return [{"type": TYPE, "id": destination_id}]


def of(org_id: str) -> Principal:
    return by(org_id)


def now() -> datetime:
    return utc_now()


def new_org() -> str:
    return f"org_{secrets.token_hex(5)}"
