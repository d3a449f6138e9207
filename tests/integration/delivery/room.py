"""Delivery on real parts, without Kafka: commands go straight to the handler, events are read from the outbox."""

import asyncio
import contextlib
import hashlib
import json
import secrets
import time
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import asyncpg

from services.delivery.assembler import Assembler, Lane
from services.delivery.handlers import CommandHandler
from services.delivery.janitor import Janitor
from services.delivery.keyring import Keyring
from services.delivery.passwords import Passwords
from services.delivery.publisher import Publisher
from services.delivery.store import DeliveryStore
from services.delivery.threads import Threads
from shared.codec import decode, encode
from shared.consumer import Incoming
from shared.database import across_tenants, create_pool
from shared.ids import new_id
from shared.messages import AssembleFile, AssemblyPart, DiscardExport, ExportAssembled, Message
from shared.outbox import Outbox
from shared.sealing import FILE_PASSWORDS, Seal
from shared.storage import NotThere, ObjectStore

SECRET_KEY = SIGNING_SECRET = "a secret of the tests, long enough for anyone"


class NoRelay(Outbox):
    """Keeps what would go to Kafka in the table."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        super().__init__(pool, None, "delivery")


async def until(found: Callable[[], Awaitable[Any]], seconds: float = 20) -> Any:
    """What `found` answers as soon as it is true."""
    end = time.monotonic() + seconds
    while not (value := await found()):
        assert time.monotonic() < end, "it did not happen in time"
        await asyncio.sleep(0.01)
    return value


@dataclass
class Process:
    """One delivery process, made of its parts."""

    handler: CommandHandler
    bulk: Assembler
    express: Assembler
    janitor: Janitor
    tasks: list[asyncio.Task[None]] = field(default_factory=list)

    async def stop(self) -> None:
        for task in self.tasks:
            task.cancel()
        for ended in await asyncio.gather(*self.tasks, return_exceptions=True):
            if isinstance(ended, Exception):  # a defect: the process would have ended
                raise ended

    def crash(self) -> None:
        """As a kill would: nothing is aborted or given back."""
        for assembler in (self.bulk, self.express):
            for task in assembler._tasks:
                task.cancel()
            assembler._abort = _nothing  # type: ignore[method-assign]
            assembler._let_go = _nothing  # type: ignore[method-assign]
        for task in self.tasks:
            task.cancel()


async def _nothing(*_: object) -> None:
    return None


@dataclass
class Room:
    """A database, a store, and the processes that a test starts."""

    pool: asyncpg.Pool
    objects: ObjectStore
    store: DeliveryStore
    keyring: Keyring

    @asynccontextmanager
    async def process(self, objects: ObjectStore | None = None, lease_seconds: float = 1.0) -> AsyncIterator[Process]:
        objects = objects or self.objects
        at_once, tidying = Threads(2, "publish"), Threads(1, "tidy")
        janitor = Janitor(self.store, objects, tidying, 3600, timedelta(hours=48))
        publisher = Publisher(self.store, objects, NoRelay(self.pool), at_once, self.keyring, janitor.discard_asked)
        passwords = Passwords(self.store, Seal([SECRET_KEY], FILE_PASSWORDS))
        bulk = Assembler(self.store, objects, publisher, passwords, Lane("bulk", False, 2, 8), lease_seconds)
        express = Assembler(self.store, objects, publisher, passwords, Lane("express", True, 1, 8), lease_seconds)
        handler = CommandHandler(self.store, objects, publisher, passwords, at_once, {False: bulk, True: express}, janitor.discard_asked)
        process = Process(handler, bulk, express, janitor)
        process.tasks = [asyncio.create_task(loop()) for loop in (bulk.run, express.run, janitor.discard_loop)]
        try:
            yield process
        finally:
            await process.stop()

    async def events(self, export_id: str) -> list[Message]:
        """How it ended."""
        return [event for event in await self.told(export_id) if not isinstance(event, ExportAssembled)]

    async def told(self, export_id: str) -> list[Message]:
        """All that export_request hears of an export."""
        rows = await self.pool.fetch("SELECT value FROM delivery.outbox WHERE key = $1 ORDER BY seq", export_id.encode())
        return [decode(row["value"]) for row in rows]

    async def event(self, export_id: str) -> Message:
        events: list[Message] = await until(lambda: self.events(export_id))
        assert len(events) == 1
        return events[0]

    async def count(self, table: str, export_id: str) -> int:
        async with across_tenants(self.pool) as connection:
            return int(await connection.fetchval(f"SELECT count(*) FROM delivery.{table} WHERE export_id = $1", export_id))

    async def gone(self, prefix: str) -> bool:
        return not await asyncio.to_thread(lambda: list(self.objects.list(prefix)))

    def there(self, key: str) -> bool:
        with contextlib.suppress(NotThere):
            self.objects.info(key)
            return True
        return False

    def content(self, key: str) -> bytes:
        return b"".join(self.objects.read(key))


@asynccontextmanager
async def open_room(database_url: str, objects: ObjectStore) -> AsyncIterator[Room]:
    pool = create_pool(database_url, "delivery-test", 16)
    await pool
    try:
        yield Room(pool, objects, DeliveryStore(pool), Keyring(pool, SIGNING_SECRET, NoRelay(pool)))
    finally:
        await pool.close()


def message(command: Message, message_id: str = "") -> Incoming:
    headers = (("message-id", (message_id or new_id("msg")).encode()),)
    return Incoming("export-assemblies", 0, 0, b"", encode(command), headers)


@dataclass
class Export:
    """An export with parts of its own in the store, and the commands that export_request would send."""

    room: Room
    org_id: str = "org_a"
    id: str = field(default_factory=lambda: f"exp_{secrets.token_hex(8)}")
    head: bytes = b"head\n"
    separator: bytes = b","
    tail: bytes = b"tail\n"
    empty: bytes = b"none\n"
    express: bool = False
    files_total: int = 1

    def put_parts(self, bodies: Sequence[bytes], format: str = "csv", first: int = 1) -> list[AssemblyPart]:
        parts = []
        for number, body in enumerate(bodies, first):
            key = f"parts/{self.id}/{number:08d}.{format}"
            sink = self.room.objects.create(key)
            sink.write(body)
            sink.complete()
            digest = hashlib.sha256(body).hexdigest()
            parts.append(AssemblyPart(number, key, 1 if body else 0, len(body), digest, f"k{number}", f"l{number}", zlib.crc32(body)))
        return parts

    def command(self, parts: Sequence[AssemblyPart], last: bool, format: str = "csv", number: int = 1) -> AssembleFile:
        name = self.name(format, number)
        closing = AssembleFile(
            self.id, self.org_id, format, number, name, "text/csv; charset=utf-8", f"files/{self.org_id}/{self.id}/{name}", self.head,
            self.separator, self.tail, self.empty, list(parts), last, self.express, self.files_total, self.manifest_key,
            json.dumps({"export_id": self.id, "snapshot": "1:1:", "request": {"formats": ["jsonl", "csv"]}}), "2126-01-01T00:00:00Z",
        )  # fmt: skip
        return closing if last else replace(closing, files_total=0, manifest_key="", manifest="", expires_at="")

    def discard(self, files: bool) -> DiscardExport:
        return DiscardExport(self.id, self.org_id, files)

    def name(self, format: str = "csv", number: int = 1) -> str:
        return f"leads_{number}.{format}"

    def key(self, format: str = "csv", number: int = 1) -> str:
        return f"files/{self.org_id}/{self.id}/{self.name(format, number)}"

    @property
    def manifest_key(self) -> str:
        return f"files/{self.org_id}/{self.id}/leads.manifest.json"

    def expected(self, bodies: Sequence[bytes]) -> bytes:
        full = [b for b in bodies if b]
        return self.head + self.separator.join(full) + self.tail if full else self.empty

    async def keep(self, status: str = "completed", expires_in: timedelta = timedelta(days=1), deleted: bool = False) -> None:
        """The export as export_request has it, written as superuser."""
        async with self.room.pool.acquire() as connection:
            await connection.execute("RESET SESSION AUTHORIZATION; SET ROLE none")
            await connection.execute(
                """INSERT INTO exports.exports (id, org_id, request, dataset, formats, status, snapshot, spec, created_at, progressed_at,
                       expires_at, deleted_at)
                   VALUES ($1, $2, '{}', 'leads', '{csv}', $3, '1:1:', '{}', now(), now(), now() + $4, CASE WHEN $5 THEN now() END)
                   ON CONFLICT (id) DO UPDATE SET status = excluded.status, expires_at = excluded.expires_at, deleted_at = excluded.deleted_at""",
                self.id, self.org_id, status, expires_in, deleted,
            )  # fmt: skip
            await connection.execute("RESET ROLE")


async def progressed(assembler: object, next_number: int) -> bool:
    """Whether the turn before part `next_number` is over: its task waits for more."""
    held = list(assembler._held.values())  # type: ignore[attr-defined]
    return any(not h.news.is_set() and not assembler._turns.locked() for h in held)  # type: ignore[attr-defined]


async def idle(assembler: object) -> bool:
    return not assembler._held  # type: ignore[attr-defined]
