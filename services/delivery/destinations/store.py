"""What destinations keep in PostgreSQL for their organisations: destinations, deliveries, what was brought."""

import functools
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import aiosql
import asyncpg

from services.delivery.core.access import Standing
from services.delivery.core.destinations.bodies import Written
from services.delivery.core.destinations.life import Delivery, Health, Reason, Status
from shared.database import Connection, Time, across_tenants, database_now, lock_count, tenant
from shared.ids import new_id
from shared.inbox import Inbox

Row = Mapping[str, Any]
COURIER = "waybill_courier"  # across organisations: destinations and deliveries are delivery's alone


@functools.cache
def load() -> Any:
    """The named queries of queries.sql."""
    return aiosql.from_path(Path(__file__).with_name("queries.sql"), "asyncpg")


async def rows(found: Any) -> list[Any]:
    return [row async for row in found]


@dataclass(frozen=True)
class NewDelivery:
    """One export for one destination, or for e-mail addresses of its request's own (`recipients`)."""

    org_id: str
    export_id: str
    schedule_id: str | None
    destination_id: str | None
    key: str
    type: str
    event: str
    small: bool
    in_order: bool
    traceparent: str
    recipients: Sequence[str] | None = None


@dataclass(frozen=True)
class Problem:
    """Why a delivery is not there, for people."""

    code: str
    message: str


class DestinationStore:
    """Methods that take a connection belong to the caller's transaction."""

    def __init__(self, pool: asyncpg.Pool, time: Time = database_now) -> None:
        """`time`: by which leases go, and what is due when."""
        self._pool, self._queries, self.now = pool, load(), time
        self.inbox = Inbox("delivery")

    @asynccontextmanager
    async def transaction(self, org_id: str, readonly: bool = False) -> AsyncIterator[Connection]:
        async with tenant(self._pool, org_id, readonly=readonly) as connection:
            yield connection

    # ---- destinations

    async def add(
        self, connection: Connection, org_id: str, destination_id: str, kind: str, written: Written, sealed: bytes | None, by: str, now: datetime
    ) -> Row:  # fmt: skip
        row: Row = await self._queries.add_destination(
            connection, id=destination_id, org_id=org_id, name=written.name, type=kind, config=_json(written.config),
            secrets=sorted(written.secrets_set), sealed=sealed, created_by=by, now=now,
        )  # fmt: skip
        return row

    async def count(self, connection: Connection, org_id: str) -> int:
        """No other one is added to them before the transaction ends."""
        await lock_count(connection, "delivery.destinations", org_id)
        return int(await self._queries.count_destinations(connection, org_id=org_id))

    async def listed(self, org_id: str, after: tuple[datetime, str] | None, count: int) -> list[Row]:
        at, last = after or (None, None)
        async with self.transaction(org_id, readonly=True) as connection:
            return await rows(self._queries.destinations(connection, org_id=org_id, after_at=at, after_id=last, count=count))

    async def find(self, org_id: str, destination_id: str) -> Row | None:
        async with self.transaction(org_id, readonly=True) as connection:
            row: Row | None = await self._queries.destination(connection, id=destination_id)
        return row

    async def lock(self, connection: Connection, destination_id: str, to_delete: bool = False) -> Row | None:
        query = self._queries.lock_destination_to_delete if to_delete else self._queries.lock_destination
        row: Row | None = await query(connection, id=destination_id)
        return row

    async def save(self, connection: Connection, destination_id: str, written: Written, sealed: bytes | None, now: datetime) -> Row:
        row: Row = await self._queries.save_destination(
            connection, id=destination_id, name=written.name, config=_json(written.config), secrets=sorted(written.secrets_set), sealed=sealed, now=now
        )  # fmt: skip
        return row

    async def save_health(self, connection: Connection, row: Row, health: Health, now: datetime) -> Row:
        """`row` is locked. What waits is held where the destination is paused now, and released where it is no more."""
        saved: Row = await self._queries.save_health(
            connection, id=row["id"], failures=health.failures, failing_since=health.failing_since,
            paused_reason=str(health.paused) if health.paused else None, now=now,
        )  # fmt: skip
        if health.paused and row["paused_reason"] is None:
            await self._queries.hold(connection, destination_id=row["id"], now=now)
        if row["paused_reason"] and not health.paused:
            await self._queries.release(connection, destination_id=row["id"], now=now)
        return saved

    async def save_test(self, connection: Connection, destination_id: str, code: str | None, now: datetime) -> Row:
        row: Row = await self._queries.save_test(connection, id=destination_id, code=code, now=now)
        return row

    async def schedules_using(self, connection: Connection, org_id: str, destination_id: str) -> Sequence[Row]:
        wanted = json.dumps([{"id": destination_id}])
        return await rows(self._queries.schedules_using(connection, org_id=org_id, destination=wanted))

    async def delete(self, connection: Connection, destination_id: str, why: Problem, now: datetime) -> bool:
        """What is half there is kept in mind, to be taken away: once nobody can note more of it, so its deliveries end first. Answers whether somebody was
        bringing one."""
        under_way = await self._queries.cancel_of_destination(
            connection, destination_id=destination_id, code=why.code, message=why.message, now=now
        )
        await self._queries.keep_leftovers(connection, destination_id=destination_id, now=now)
        await self._queries.delete_destination(connection, id=destination_id)
        return bool(under_way)

    # ---- what came in

    async def organisation_of(self, export_id: str) -> str | None:
        async with across_tenants(self._pool, COURIER) as connection:
            org_id: str | None = await self._queries.organisation_of(connection, export_id=export_id)
        return org_id

    async def export(self, connection: Connection, export_id: str) -> Row | None:
        row: Row | None = await self._queries.export(connection, id=export_id)
        return row

    async def share(self, connection: Connection, destination_ids: Sequence[str]) -> dict[str, Row]:
        found = await rows(self._queries.share_destinations(connection, ids=list(destination_ids)))
        return {row["id"]: row for row in found}

    async def add_delivery(
        self, connection: Connection, new: NewDelivery, status: Status, problem: Problem | None, now: datetime
    ) -> str | None:
        """Its id; None where there is one already."""
        made: str | None = await self._queries.add_delivery(
            connection, id=new_id("dlv"), org_id=new.org_id, export_id=new.export_id, schedule_id=new.schedule_id, destination_id=new.destination_id,
            key=new.key, type=new.type, recipients=list(new.recipients) if new.recipients is not None else None, event=new.event, small=new.small, in_order=new.in_order,
            status=str(status), due_at=now if status is Status.pending else None, error_code=problem.code if problem else None,
            error_message=problem.message if problem else None, traceparent=new.traceparent, now=now, ended_at=now if problem else None,
        )  # fmt: skip
        return made

    async def cancel_of_export(self, connection: Connection, export_id: str, why: Problem, now: datetime) -> None:
        await self._queries.cancel_of_export(connection, export_id=export_id, code=why.code, message=why.message, now=now)

    # ---- deliveries

    async def deliveries(self, org_id: str, filters: Row, before: tuple[datetime, str] | None, count: int) -> Sequence[Row]:
        at, last = before or (None, None)
        async with self.transaction(org_id, readonly=True) as connection:
            return await rows(self._queries.deliveries(connection, org_id=org_id, **filters, before_at=at, before_id=last, count=count))

    async def delivery(self, org_id: str, delivery_id: str) -> tuple[Row, Sequence[Row], Sequence[Row]] | None:
        """The delivery, its files and its last attempts."""
        async with self.transaction(org_id, readonly=True) as connection:
            row: Row | None = await self._queries.delivery(connection, id=delivery_id)
            if row is None:
                return None
            files = await rows(self._queries.delivery_files(connection, id=delivery_id))
            return row, files, await rows(self._queries.attempts(connection, id=delivery_id))

    async def find_delivery(self, connection: Connection, delivery_id: str) -> Row | None:
        row: Row | None = await self._queries.delivery(connection, id=delivery_id)
        return row

    async def freight(self, connection: Connection, export_id: str) -> Row | None:
        """How an export stands, and what it is called by."""
        row: Row | None = await self._queries.freight(connection, export_id=export_id)
        return row

    async def lock_delivery(self, connection: Connection, delivery_id: str) -> Row | None:
        row: Row | None = await self._queries.lock_delivery(connection, id=delivery_id)
        return row

    async def save_delivery(self, connection: Connection, row: Row, delivery: Delivery, problem: Problem | None, now: datetime) -> None:
        """`row` is locked; whoever had claimed it has no more to say."""
        open_ = delivery.status in (Status.pending, Status.held)
        await self._queries.save_delivery(
            connection, id=row["id"], status=str(delivery.status), tries=delivery.tries, attempts=delivery.attempts, due_at=delivery.due_at,
            error_code=problem.code if problem else None, error_message=problem.message if problem else None, ended_at=None if open_ else now,
        )  # fmt: skip

    async def begin_anew(self, connection: Connection, delivery_id: str, everything: bool) -> None:
        """What is known to be there is forgotten, so that every file is brought again; or only what came back."""
        await self._queries.forget_sent(connection, delivery_id=delivery_id, everything=everything)


def delivery_of(row: Row) -> Delivery:
    return Delivery(Status(row["status"]), row["tries"], row["attempts"], row["due_at"])


def health_of(row: Row) -> Health:
    return Health(row["failures"], row["failing_since"], Reason(row["paused_reason"]) if row["paused_reason"] else None)


def standing_of(row: Row | None) -> Standing | None:
    """How the export stands that a row is about; None where there is none."""
    if row is None or row["status"] is None:
        return None
    return Standing(row["status"], row["deleted"], row["expires_at"], row["published_at"] is not None, row["discarded"], row["held"])


def _json(config: Row) -> str:
    return json.dumps(config, ensure_ascii=False, sort_keys=True)
