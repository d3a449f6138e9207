"""What webhooks keep in PostgreSQL for their subscribers: endpoints, deliveries, attempts."""

import functools
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import aiosql
import asyncpg

from services.delivery.core.webhooks.events import TEST_EVENT, Event
from services.delivery.core.webhooks.life import Delivery, Status
from shared.database import Connection, Time, across_tenants, database_now, lock_count, tenant
from shared.ids import new_id
from shared.inbox import Inbox

Row = Mapping[str, Any]
ATTEMPTS_SHOWN = 10
_CHANGED = (
    "url", "description", "events", "enabled", "disabled_reason", "disabled_at", "failing_since", "failures", "held_until", "secret",
    "previous_secret", "previous_until",
)  # fmt: skip


@functools.cache
def load() -> Any:
    """The named queries of queries.sql."""
    return aiosql.from_path(Path(__file__).with_name("queries.sql"), "asyncpg")


async def rows(found: Any) -> list[Any]:
    return [row async for row in found]


class WebhookStore:
    """Methods that take a connection belong to the caller's transaction."""

    def __init__(self, pool: asyncpg.Pool, time: Time = database_now) -> None:
        """`time`: by which leases go, and what is due when."""
        self._pool, self._queries, self.now = pool, load(), time
        self.inbox = Inbox("delivery")

    @asynccontextmanager
    async def transaction(self, org_id: str) -> AsyncIterator[Connection]:
        async with tenant(self._pool, org_id) as connection:
            yield connection

    # ---- endpoints

    async def add_endpoint(self, connection: Connection, org_id: str, endpoint_id: str, body: Row, secret: bytes, now: datetime) -> Row:
        row: Row = await self._queries.add_endpoint(
            connection, id=endpoint_id, org_id=org_id, url=body["url"], description=body["description"], events=body["events"],
            secret=secret, now=now,
        )  # fmt: skip
        return row

    async def count_endpoints(self, connection: Connection, org_id: str) -> int:
        """No other one is added to them before the transaction ends."""
        await lock_count(connection, "delivery.webhook_endpoints", org_id)
        return int(await self._queries.count_endpoints(connection, org_id=org_id))

    async def endpoints(self, org_id: str, after: tuple[datetime, str] | None, count: int) -> list[Row]:
        at, last = after or (None, None)
        async with tenant(self._pool, org_id, readonly=True) as connection:
            return await rows(self._queries.endpoints(connection, org_id=org_id, after_at=at, after_id=last, count=count))

    async def endpoint(self, org_id: str, endpoint_id: str) -> Row | None:
        async with tenant(self._pool, org_id, readonly=True) as connection:
            row: Row | None = await self._queries.endpoint(connection, id=endpoint_id)
        return row

    async def lock_endpoint(self, connection: Connection, endpoint_id: str) -> Row | None:
        row: Row | None = await self._queries.lock_endpoint(connection, id=endpoint_id)
        return row

    async def save_endpoint(self, connection: Connection, row: Row, changes: Row, now: datetime) -> Row:
        """`row` is locked. What is pending is skipped where the endpoint is disabled now."""
        values = {name: row[name] for name in _CHANGED} | dict(changes)
        saved: Row = await self._queries.save_endpoint(connection, id=row["id"], now=now, **values)
        if not saved["enabled"]:
            await self._queries.skip_pending(connection, endpoint_ids=[row["id"]], now=now)
        return saved

    async def delete_endpoint(self, connection: Connection, endpoint_id: str) -> bool:
        return await self._queries.delete_endpoint(connection, id=endpoint_id) is not None

    # ---- events

    async def organisation_of(self, export_id: str) -> str | None:
        async with across_tenants(self._pool) as connection:
            org_id: str | None = await self._queries.organisation_of(connection, export_id=export_id)
        return org_id

    async def subscribers(self, connection: Connection, event: str) -> list[Row]:
        return await rows(self._queries.subscribers(connection, event=event))

    async def add_delivery(self, connection: Connection, org_id: str, endpoint: Row, event: Event, traceparent: str, now: datetime) -> bool:
        """Recorded, and queued where the endpoint is enabled. False where the endpoint has been told of this event already."""
        status = Status.pending if endpoint["enabled"] else Status.skipped
        ended_at = None if endpoint["enabled"] else now
        made = await self._queries.add_delivery(
            connection, id=(delivery_id := new_id("whd")), org_id=org_id, endpoint_id=endpoint["id"], webhook_id=event.id, event=event.type,
            payload=event.payload, traceparent=traceparent, status=status, now=now, ended_at=ended_at,
        )  # fmt: skip
        if made is not None and endpoint["enabled"]:
            await self._enqueue(connection, org_id, endpoint["id"], delivery_id, now)
        return made is not None

    async def add_test(self, connection: Connection, org_id: str, endpoint_id: str, event: Event, until: datetime, now: datetime) -> str:
        """A test message, claimed by who sends it until its lease runs out. The delivery's id."""
        delivery_id = new_id("whd")
        await self._queries.add_delivery(
            connection, id=delivery_id, org_id=org_id, endpoint_id=endpoint_id, webhook_id=event.id, event=TEST_EVENT, payload=event.payload,
            traceparent="", status=Status.pending, now=now, ended_at=None,
        )  # fmt: skip
        await self._enqueue(connection, org_id, endpoint_id, delivery_id, until, "test")
        return delivery_id

    # ---- deliveries

    async def deliveries(
        self, org_id: str, endpoint_id: str, statuses: list[str], before: tuple[datetime, str] | None, count: int
    ) -> list[Row]:
        at, last = before or (None, None)
        async with tenant(self._pool, org_id, readonly=True) as connection:
            found = await rows(self._queries.deliveries(
                connection, endpoint_id=endpoint_id, statuses=statuses or None, before_at=at, before_id=last, count=count
            ))  # fmt: skip
            return await self._with_attempts(connection, found)

    async def delivery(self, org_id: str, endpoint_id: str, delivery_id: str) -> Row | None:
        async with tenant(self._pool, org_id, readonly=True) as connection:
            found = await self._queries.delivery(connection, endpoint_id=endpoint_id, id=delivery_id)
            return (await self._with_attempts(connection, [found]))[0] if found else None

    async def _with_attempts(self, connection: Connection, found: Sequence[Row]) -> list[Row]:
        ids = [row["id"] for row in found]
        attempts: dict[str, list[Row]] = {each: [] for each in ids}
        for each in await rows(self._queries.last_attempts(connection, delivery_ids=ids, count=ATTEMPTS_SHOWN)):
            attempts[each["delivery_id"]].append(each)
        return [{**row, "last_attempts": sorted(attempts[row["id"]], key=lambda a: -a["number"])} for row in found]

    async def lock_delivery(self, connection: Connection, endpoint_id: str, delivery_id: str) -> Row | None:
        row: Row | None = await self._queries.lock_delivery(connection, endpoint_id=endpoint_id, id=delivery_id)
        return row

    async def send_again(self, connection: Connection, row: Row, delivery: Delivery, now: datetime) -> None:
        """`row` is locked, `delivery` is what it is now: pending and due."""
        await self._queries.save_deliveries(
            connection,
            ids=[row["id"]],
            statuses=[str(delivery.status)],
            tries=[delivery.tries],
            attempts=[delivery.attempts],
            ended_at=[None],
        )
        await self._enqueue(connection, row["org_id"], row["endpoint_id"], row["id"], delivery.due_at or now)

    async def recover(self, connection: Connection, org_id: str, endpoint_id: str, since: datetime, now: datetime) -> int:
        """How many are sent again."""
        return int(await self._queries.recover(
            connection, endpoint_id=endpoint_id, org_id=org_id, since=since, test_event=TEST_EVENT, now=now
        ))  # fmt: skip

    async def _enqueue(
        self, connection: Connection, org_id: str, endpoint_id: str, delivery_id: str, due_at: datetime, claimed_by: str | None = None
    ) -> None:
        await self._queries.enqueue(
            connection, delivery_id=delivery_id, endpoint_id=endpoint_id, org_id=org_id, due_at=due_at, claimed_by=claimed_by
        )
