"""Webhooks on a real database and a real receiver, without Kafka: events go straight to the intake. The clock is the test's."""

import asyncio
import json
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import asyncpg

from services.delivery.notifications.store import Feed
from services.delivery.settings import Settings
from services.delivery.webhooks.app import Webhooks, assemble
from shared.clock import instant, utc_now
from shared.consumer import Incoming
from shared.database import across_tenants, database_now
from shared.http import Authenticator, Principal
from shared.ids import new_id
from shared.outbox import Outbox
from tests.integration.delivery.room import until

SECRET_KEY = "0123456789abcdef" * 4


@dataclass
class Clock:
    """Starts now, and goes on only when it is told to."""

    at: datetime = field(default_factory=utc_now)

    def __call__(self) -> datetime:
        return self.at

    async def of_database(self, _: object) -> datetime:
        """PostgreSQL's, as the service asks for it; it goes with ours."""
        return self.at

    def advance(self, **by: float) -> None:
        self.at += timedelta(**by)


@dataclass
class Process:
    """One delivery process, as far as webhooks go."""

    webhooks: Webhooks
    tasks: list[asyncio.Task[None]] = field(default_factory=list)

    def start(self) -> None:
        self.tasks.append(asyncio.create_task(self.webhooks.dispatcher.run()))

    async def stop(self) -> None:
        """As SIGTERM would."""
        for task in self.tasks:
            task.cancel()
        for ended in await asyncio.gather(*self.tasks, return_exceptions=True):
            if isinstance(ended, Exception):
                raise ended
        self.tasks.clear()

    async def kill(self) -> None:
        """As SIGKILL would: nothing is recorded or handed back."""
        dispatcher = self.webhooks.dispatcher
        dispatcher._let_go = _nothing  # type: ignore[method-assign]
        dispatcher._record_all = _nothing  # type: ignore[method-assign]
        for task in [*self.tasks, *dispatcher._tasks]:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        self.tasks.clear()

    def wake(self) -> None:
        self.webhooks.dispatcher.wake()


async def _nothing() -> None:
    return None


@dataclass
class Room:
    """The database, the clock, and what tests do with both."""

    url: str
    pool: asyncpg.Pool
    clock: Clock

    @asynccontextmanager
    async def process(self, started: bool = True, off: timedelta | None = None, **settings: Any) -> AsyncIterator[Process]:
        """`off`: by how much the process's clock is wrong, beside PostgreSQL's; else all go by the test's."""
        given = {
            "webhook_allow_http": True, "webhook_allow_loopback": True, "webhook_timeout_seconds": 10, "webhook_lease_seconds": 60,
            "webhook_time_scale": 1.0,
        } | settings  # fmt: skip
        made = Process(
            assemble(
                Settings(delivery_database_url=self.url, secret_key=SECRET_KEY, **given),
                self.pool,
                Outbox(self.pool, None, "delivery"),
                Authenticator(self.pool),
                Feed(self.pool),
                *((lambda: utc_now() + off, database_now) if off is not None else (self.clock, self.clock.of_database)),
            )
        )
        if started:
            made.start()
        try:
            yield made
        finally:
            await made.stop()
            await made.webhooks.sender.close()

    async def endpoint(self, process: Process, org_id: str, url: str, **body: Any) -> dict[str, Any]:
        return await process.webhooks.endpoints.create(by(org_id), {"url": url, **body})

    async def export(self, org_id: str) -> str:
        """An export as export_request has it, written as superuser."""
        export_id = f"exp_{secrets.token_hex(8)}"
        async with self.pool.acquire() as connection:
            await connection.execute("SET ROLE none")
            await connection.execute(
                """INSERT INTO exports.exports (id, org_id, request, dataset, formats, status, snapshot, spec, created_at, progressed_at, expires_at)
                   VALUES ($1, $2, '{}', 'leads', '{csv}', 'completed', '1:1:', '{}', now(), now(), now() + interval '1 day')""",
                export_id, org_id,
            )  # fmt: skip
            await connection.execute("RESET ROLE")
        return export_id

    async def event(self, process: Process, org_id: str, kind: str = "completed") -> Incoming:
        """Something happened to an export of the organisation; the message that tells of it, which is handled."""
        message = event_message(await self.export(org_id), kind, self.clock())
        await process.webhooks.intake.handle(message)
        return message

    async def rows(self, query: str, *values: Any) -> list[Any]:
        async with across_tenants(self.pool) as connection:
            return list(await connection.fetch(query, *values))

    async def deliveries(self, endpoint_id: str) -> list[Any]:
        query = """SELECT d.*, q.due_at, q.claimed_by FROM delivery.webhook_deliveries d LEFT JOIN delivery.webhook_queue q ON q.delivery_id = d.id
                   WHERE d.endpoint_id = $1 ORDER BY d.created_at, d.id"""
        return await self.rows(query, endpoint_id)

    async def ended(self, endpoint_id: str, count: int = 1) -> list[Any]:
        """The endpoint's deliveries, once so many have ended."""

        async def look() -> list[Any] | None:
            found = await self.deliveries(endpoint_id)
            return found if sum(each["status"] != "pending" for each in found) >= count else None

        return list(await until(look))

    async def settled(self, process: Process) -> None:
        """Everything that is due by the clock has been sent and recorded."""

        async def look() -> bool:
            process.wake()
            due = await self.rows("SELECT FROM delivery.webhook_queue WHERE due_at <= $1 OR claimed_by IS NOT NULL", self.clock())
            return not due and process.webhooks.dispatcher._traffic.under_way == 0

        await until(look)

    async def waiting(self, endpoint_id: str, attempts: int) -> Any:
        """The endpoint's only delivery, once so many attempts are recorded and the next is waited for."""

        async def look() -> Any:
            (found,) = await self.deliveries(endpoint_id)
            return found if found["attempts"] == attempts and found["claimed_by"] is None else None

        return await until(look)


def by(org_id: str) -> Principal:
    """A key of the organisation."""
    return Principal(org_id, "test", frozenset(), "203.0.113.7")


def event_message(export_id: str, kind: str, at: datetime, event_id: str = "") -> Incoming:
    data = {
        "id": export_id,
        "dataset": "leads",
        "formats": ["csv"],
        "status": kind,
        "progress": {"rows_written": 1},
        "files": [],
        "error": None,
    }
    headers = {
        "ce_id": event_id or new_id("evt"),
        "ce_type": f"waybill.export.{kind}",
        "ce_time": str(instant(at)),
        "ce_specversion": "1.0",
    }
    return Incoming(
        "export-events", 0, 0, export_id.encode(), json.dumps(data).encode(), tuple((n, v.encode()) for n, v in headers.items())
    )


async def eventually(found: Callable[[], bool]) -> None:
    async def look() -> bool:
        return found()

    await until(look)
