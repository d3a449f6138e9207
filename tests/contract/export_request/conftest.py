"""export_request on a real PostgreSQL, as the role that it has in production; formatter and delivery are played by the test."""

import asyncio
import contextlib
import json
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import asyncpg
import httpx
import pytest
import pytest_asyncio

from services.export_request.app import Parts, assemble
from services.export_request.settings import Settings
from shared.clock import utc_now
from shared.codec import decode, encode
from shared.consumer import Incoming
from shared.database import create_pool
from shared.messages import (
    AssembleFile,
    ChunkFormatted,
    DiscardExport,
    ExportAssembled,
    ExportPublished,
    FormatChunk,
    Message,
    Part,
    PublishedFile,
)
from tests.conftest import Database

OPERATOR = "operator-token-of-the-tests"
LEADS: dict[str, Any] = {"dataset": "leads", "format": "csv"}


class Clock:
    """Time that the tests move."""

    def __init__(self) -> None:
        self.now = utc_now()

    def __call__(self) -> datetime:
        return self.now

    async def of_database(self, _: object) -> datetime:
        """PostgreSQL's, as the service asks for it; it goes with ours."""
        return self.now

    def forward(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@dataclass
class Published:
    """A row of the outbox."""

    topic: str
    key: str
    value: bytes
    headers: dict[str, str]
    partition: int | None

    @property
    def message(self) -> Message:
        return decode(self.value)

    @property
    def event(self) -> str:
        return self.headers["ce_type"].removeprefix("waybill.export.")

    @property
    def data(self) -> dict[str, Any]:
        loaded: dict[str, Any] = json.loads(self.value)
        return loaded


@dataclass
class World:
    """The service, its database, and what it has published so far."""

    parts: Parts
    admin: asyncpg.Connection
    http: httpx.AsyncClient
    clock: Clock
    published: list[Published] = field(default_factory=list)
    noted: list[Published] = field(default_factory=list)  # for the audit trail

    # ---- callers

    async def organisation(self, leads: int = 0) -> "Caller":
        org_id = f"org_{secrets.token_hex(5)}"
        made = await self.http.post(
            "/v1/organisations", json={"org_id": org_id, "name": "Acme"}, headers={"Authorization": f"Bearer {OPERATOR}"}
        )
        assert made.status_code == 201, made.text
        await self.admin.execute(
            "INSERT INTO ingest.leads (org_id, id, email, status, source, tags, custom_properties, created_at)"
            " SELECT $1, 'lead_' || lpad(i::text, 6, '0'), 'a@b.example', 'new', 'chat', '{}', '{}', '2026-03-01T00:00:00Z'::timestamptz"
            " + i * interval '1 minute' FROM generate_series(1, $2) i", org_id, leads,
        )  # fmt: skip
        return Caller(self, org_id, made.json()["api_key"])

    async def destination(self, org_id: str, kind: str = "s3") -> str:
        """One of the organisation's, as delivery keeps it. Its id."""
        destination_id = f"dst_{secrets.token_hex(5)}"
        await self.admin.execute(
            "INSERT INTO delivery.destinations (id, org_id, name, type, config, created_by, created_at, updated_at) VALUES ($1, $2, 'd', $3, '{}', 'key:1', now(), now())",
            destination_id, org_id, kind,
        )  # fmt: skip
        return destination_id

    # ---- the other rooms

    async def outbox(self) -> list[Published]:
        """What was published since the last look, in order; what is for the audit trail is put aside."""
        rows = await self.admin.fetch("WITH gone AS (DELETE FROM exports.outbox RETURNING *) SELECT * FROM gone ORDER BY seq")
        found = [Published(r["topic"], (r["key"] or b"").decode(), r["value"], json.loads(r["headers"]), r["partition"]) for r in rows]
        self.noted += [m for m in found if m.topic == "audit-entries"]
        new = [m for m in found if m.topic != "audit-entries"]
        self.published += new
        return new

    async def audited(self) -> None:
        """The audit trail has taken what was noted so far."""
        await self.outbox()
        messages = [
            Incoming(m.topic, 0, 0, m.key.encode(), m.value, (("message-id", m.headers["message-id"].encode()),)) for m in self.noted
        ]
        assert await self.parts.trail.take(messages) == []
        self.noted = []

    async def watched(self, export_id: str) -> None:
        """Wait until somebody reads the export's events."""
        while not self.parts.ends.awaited(export_id):
            await asyncio.sleep(0.01)

    async def planned(self) -> None:
        """Wait until what was accepted has been planned as far as this process goes, and release what may go."""
        while tasks := [t for t in asyncio.all_tasks() if t.get_name().startswith("plan ")]:
            await asyncio.wait(tasks)
        for first_steps in (True, False):
            while (row := await self.parts.planner.claim(first_steps)) is not None:
                await self.parts.planner.work(row)
        while await self.parts.releaser.release():
            pass

    def chunks(self, messages: list[Published]) -> list[FormatChunk]:
        return [m.message for m in messages if m.topic.startswith("export-chunks")]  # type: ignore[misc]

    async def formatted(
        self, chunk: FormatChunk, rows: int | None = None, message_id: str | None = None, gone: int = 0, unchanged: int = 0
    ) -> None:
        """The formatter's answer; of a delta's rows some are `gone` and some `unchanged`."""
        count = (chunk.rows if rows is None else rows) - unchanged
        each = {name: gone if name.startswith("deleted.") else count - gone for name in chunk.part_keys}
        parts = [Part(name, key, each[name], 10 * each[name], "00" * 32, "a", "b") for name, key in chunk.part_keys.items()]
        event = ChunkFormatted(chunk.export_id, chunk.org_id, chunk.number, count, parts, 5, {}, unchanged)
        await self.parts.handlers.export_parts(incoming("export-parts", event, message_id or f"{chunk.export_id}/{chunk.number}/formatted"))

    async def assembled(self, org_id: str, export_id: str, message_id: str = "") -> None:
        """What delivery says once the last part of every file is in."""
        event = ExportAssembled(export_id, org_id)
        await self.parts.handlers.export_files(incoming("export-files", event, f"{export_id}/assembled{message_id}"))

    async def publish(self, export_id: str, rows: int | None = None) -> None:
        """Delivery's answer, from the commands that it was sent for the export."""
        commands = self.commands(export_id)
        files: dict[str, PublishedFile] = {}
        for command in commands:
            before = files.get(command.name)
            count = (before.rows if before else 0) + sum(p.rows for p in command.parts)
            files[command.name] = PublishedFile(
                command.format, command.file_number, command.name, command.media_type, count if rows is None else rows, 7, "11" * 32
            )
        event = ExportPublished(export_id, commands[0].org_id, list(files.values()))
        await self.parts.handlers.export_files(incoming("export-files", event, f"{export_id}/published"))

    def commands(self, export_id: str) -> list[AssembleFile]:
        found = [m.message for m in self.published if m.topic == "export-assemblies" and m.key == export_id]
        return [m for m in found if isinstance(m, AssembleFile)]

    def discards(self, export_id: str) -> list[bool]:
        """`files` of each DiscardExport."""
        found = [m.message for m in self.published if m.topic == "export-assemblies" and m.key == export_id]
        return [m.files for m in found if isinstance(m, DiscardExport)]

    def events(self, key: str) -> list[Published]:
        return [m for m in self.published if m.topic == "export-events" and m.key == key]

    async def drive(self, export_id: str) -> None:
        """Everything up to the end, with honest other rooms."""
        await self.planned()
        while chunks := [c for c in self.chunks(await self.outbox()) if c.export_id == export_id]:
            for chunk in chunks:
                await self.formatted(chunk)
            await self.planned()
        await self.outbox()
        await self.publish(export_id)
        await self.outbox()


def incoming(topic: str, message: Message, message_id: str) -> Incoming:
    return Incoming(topic, 0, 0, b"", encode(message), (("message-id", message_id.encode()),))


@dataclass
class Caller:
    """An organisation's client."""

    world: World
    org_id: str
    api_key: str

    async def call(self, method: str, path: str, **options: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.api_key}"} | options.pop("headers", {})
        return await self.world.http.request(method, path, headers=headers, **options)

    async def ask(self, body: dict[str, Any] = LEADS, key: str = "") -> dict[str, Any]:
        answer = await self.call("POST", "/v1/exports", json=body, headers={"Idempotency-Key": key} if key else {})
        assert answer.status_code == 202, answer.text
        loaded: dict[str, Any] = answer.json()
        return loaded

    async def get(self, export_id: str) -> dict[str, Any]:
        answer = await self.call("GET", f"/v1/exports/{export_id}")
        assert answer.status_code == 200, answer.text
        loaded: dict[str, Any] = answer.json()
        return loaded

    async def completed(self, body: dict[str, Any] = LEADS) -> dict[str, Any]:
        export = await self.ask(body)
        await self.world.drive(export["id"])
        done = await self.get(export["id"])
        assert done["status"] == "completed", done
        return done


def settings_for(database: Database, **more: Any) -> Settings:
    return Settings(
        export_request_database_url=database.as_service("export_request"), secret_key="0" * 64, operator_token=OPERATOR,
        public_url="https://waybill.example", **more,
    )  # fmt: skip


@dataclass(frozen=True)
class Connections:
    """To a module's database: a service's pool, and the superuser's. Opening them for every test would cost more than most tests do."""

    pool: asyncpg.Pool
    admin: asyncpg.Connection

    async def quiet(self) -> None:
        """Nothing of a world works on: what it planned has stopped, every connection is given back."""
        planning = [task for task in asyncio.all_tasks() if task.get_name().startswith("plan ")]
        for task in planning:
            task.cancel()
        await asyncio.gather(*planning, return_exceptions=True)
        async with asyncio.timeout(60):
            while self.pool.get_idle_size() < self.pool.get_size():
                await asyncio.sleep(0.001)


@contextlib.asynccontextmanager
async def connections_to(database: Database) -> AsyncIterator[Connections]:
    admin = await asyncpg.connect(database.url)
    async with create_pool(settings_for(database).export_request_database_url, "tests", 16) as pool:
        yield Connections(pool, admin)
    await admin.close()


# With TRUNCATE each test would pay for some thirty new files; what hangs on these rows goes with them.
EMPTIED = "".join(f"DELETE FROM exports.{table};" for table in ("exports", "idempotency_keys", "turns", "outbox", "schedules"))


@contextlib.asynccontextmanager
async def world_of(database: Database, keep: bool = False, connections: Connections | None = None, **more: Any) -> AsyncIterator[World]:
    """`keep`: with what a world before has left. `connections`: those of the module, while nobody else has them."""
    async with contextlib.AsyncExitStack() as opened:
        used = connections or await opened.enter_async_context(connections_to(database))
        if not keep:
            await used.admin.execute(EMPTIED)
        clock = Clock()
        parts = assemble(settings_for(database, **more), used.pool, None, clock, time=clock.of_database)
        transport = httpx.ASGITransport(parts.http, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://waybill") as http:
            yield World(parts, used.admin, http, clock)
        if connections:
            await connections.quiet()
        await parts.diffs.close()


@pytest_asyncio.fixture(scope="module")
async def connections(database: Database) -> AsyncIterator[Connections]:
    async with connections_to(database) as opened:
        yield opened


@pytest.fixture
async def world(database: Database, connections: Connections) -> AsyncIterator[World]:
    """Small chunks: 10 rows; exports of up to 10 rows are express."""
    async with world_of(database, connections=connections, chunk_rows_max=10, express_rows_max=10) as made:
        yield made
