"""The queue across organisations: claim what is due, record what came of it, keep it small. Several processes may do so at once."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import asyncpg

from services.delivery.core.notifications.notices import webhook_endpoint_disabled
from services.delivery.core.webhooks import health
from services.delivery.core.webhooks.events import TEST_EVENT
from services.delivery.core.webhooks.health import Health, Reason
from services.delivery.core.webhooks.life import Delivery, Retries, Status, step
from services.delivery.core.webhooks.traffic import Room
from services.delivery.notifications.store import Feed
from services.delivery.resealing import Sealed
from services.delivery.webhooks.sender import Sent
from services.delivery.webhooks.store import load, rows
from shared.database import DISPATCHER, Connection, Time, across_tenants, database_now

PRUNED_AT_ONCE = 2000


@dataclass(frozen=True)
class Claim:
    """A delivery that this process sends now. The secrets are still sealed."""

    id: str
    org_id: str
    endpoint_id: str
    webhook_id: str
    event: str
    url: str
    payload: str = field(repr=False)
    traceparent: str
    secret: bytes = field(repr=False)
    previous_secret: bytes | None = field(repr=False)  # while it signs beside the other one


@dataclass(frozen=True)
class Result:
    """What came of a claim, and when it began and ended."""

    claim: Claim
    sent: Sent
    began: datetime
    ended: datetime


@dataclass
class Recorded:
    """What a batch of results came to."""

    at: datetime
    retries: list[datetime] = field(default_factory=list)  # when each is due
    ended: list[Status] = field(default_factory=list)
    disabled: dict[str, Reason] = field(default_factory=dict)  # endpoint → why


@dataclass
class _Columns:
    """A batch's changes, as the columns of its statements."""

    saved: list[tuple[str, Delivery, datetime | None]] = field(default_factory=list)
    attempts: list[tuple[Any, ...]] = field(default_factory=list)


class Queue:
    """By `now`, PostgreSQL's clock, so that no process takes what another one has claimed. `chance` gives numbers in [0, 1)."""

    def __init__(
        self, pool: asyncpg.Pool, worker: str, scale: float, chance: Callable[[], float], feed: Feed, now: Time = database_now
    ) -> None:
        self._pool, self._queries, self._feed = pool, load(), feed
        self._worker, self._scale, self._chance, self._now = worker, scale, chance, now

    async def claim(self, room: Room, lease_seconds: float) -> list[Claim]:
        async with across_tenants(self._pool) as connection:
            now = await self._now(connection)
            found = await rows(self._queries.claim(
                connection, now=now, lease_until=now + timedelta(seconds=lease_seconds), worker=self._worker, total=room.total,
                endpoint_places=room.endpoint, organisation_places=room.organisation,
                endpoint_ids=list(room.endpoints), endpoint_free=list(room.endpoints.values()),
                org_ids=list(room.organisations), org_free=list(room.organisations.values()),
            ))  # fmt: skip
        return [Claim(**row) for row in found]

    async def hand_back(self, delivery_ids: Sequence[str]) -> None:
        async with across_tenants(self._pool) as connection:
            now = await self._now(connection)
            await self._queries.hand_back(connection, delivery_ids=list(delivery_ids), worker=self._worker, now=now)

    # ---- recording

    async def record(self, results: Sequence[Result]) -> Recorded:
        """All in one transaction: attempts, what becomes of the deliveries, their endpoints' health."""
        async with across_tenants(self._pool) as connection:
            recorded = Recorded(now := await self._now(connection))
            await self._record_health(connection, results, now, recorded)
            known = {row["id"]: row for row in await rows(self._queries.lock_deliveries(connection, ids=[r.claim.id for r in results]))}
            columns = _Columns()
            for result in results:
                if row := known.get(result.claim.id):  # none: the endpoint was deleted
                    self._fold(row, result, now, recorded, columns)
            await self._save(connection, columns)
            if recorded.disabled:
                await self._queries.skip_pending(connection, endpoint_ids=list(recorded.disabled), now=now)
        return recorded

    def _fold(self, row: Mapping[str, Any], result: Result, now: datetime, recorded: Recorded, columns: _Columns) -> None:
        before = Delivery(Status(row["status"]), row["tries"], row["attempts"])
        retries = Retries(once=row["event"] == TEST_EVENT, scale=self._scale)
        after = step(before, result.sent.attempt, now, self._chance(), retries)
        columns.saved.append((row["id"], after, None if after.status is Status.pending else now))
        sent = result.sent
        columns.attempts.append((
            row["id"], after.attempts, row["org_id"], result.began, sent.milliseconds, sent.attempt.code, sent.error_code, sent.error_message,
            sent.excerpt,
        ))  # fmt: skip
        if after.due_at is not None:
            recorded.retries.append(after.due_at)
        elif after.status is not before.status:
            recorded.ended.append(after.status)

    async def _save(self, connection: Connection, columns: _Columns) -> None:
        saved = columns.saved
        if not saved:
            return
        await self._queries.save_deliveries(
            connection, ids=[i for i, _, _ in saved], statuses=[str(d.status) for _, d, _ in saved], tries=[d.tries for _, d, _ in saved],
            attempts=[d.attempts for _, d, _ in saved], ended_at=[at for _, _, at in saved],
        )  # fmt: skip
        if ended := [i for i, d, _ in saved if d.status is not Status.pending]:
            await self._queries.dequeue(connection, ids=ended)
        if due := [(i, d.due_at) for i, d, _ in saved if d.due_at is not None]:
            await self._queries.requeue(connection, ids=[i for i, _ in due], due_at=[at for _, at in due])
        names = ("ids", "numbers", "org_ids", "at", "milliseconds", "codes", "error_codes", "error_messages", "excerpts")
        await self._queries.add_attempts(connection, **dict(zip(names, map(list, zip(*columns.attempts, strict=True)), strict=True)))

    async def _record_health(self, connection: Connection, results: Sequence[Result], now: datetime, recorded: Recorded) -> None:
        """A test message says nothing of an endpoint's health."""
        attempts = defaultdict(list)
        for result in sorted(results, key=lambda r: r.ended):
            if result.claim.event != TEST_EVENT:
                attempts[result.claim.endpoint_id].append((result.ended, result.sent.attempt))
        failing = [endpoint for endpoint, each in attempts.items() if not all(a.succeeded for _, a in each)]
        locked = await rows(self._queries.lock_health(connection, failing=failing, succeeding=list(attempts)))
        changed = []
        for row in locked:
            before = Health(
                row["failing_since"], row["failures"], row["held_until"], Reason(row["disabled_reason"]) if not row["enabled"] else None
            )
            after = health.after(before, attempts[row["id"]], self._scale)
            changed.append(
                (row["id"], after.failing_since, after.failures, after.held_until, str(after.disabled) if after.disabled else None)
            )
            if after.disabled and row["enabled"]:
                recorded.disabled[row["id"]] = after.disabled
                notice = webhook_endpoint_disabled(
                    at=now, endpoint_id=row["id"], reason=after.disabled, message=health.EXPLAINED[after.disabled]
                )
                await self._feed.tell(connection, row["org_id"], notice)
        if changed:
            names = ("ids", "failing_since", "failures", "held_until", "disabled_reasons")
            await self._queries.save_health(connection, now=now, **dict(zip(names, map(list, zip(*changed, strict=True)), strict=True)))

    # ---- upkeep

    async def facts(self) -> tuple[int, float]:
        """(how many wait, for how many seconds the oldest that could be sent has been due)."""
        async with across_tenants(self._pool) as connection:
            now = await self._now(connection)
            row = await self._queries.queue_facts(connection, now=now)
        return row["waiting"], max(0.0, (now - row["oldest"]).total_seconds()) if row["oldest"] else 0.0

    async def prune(self, keep: timedelta) -> int:
        """Forget deliveries that ended, and were made longer ago; how many. In steps, so that no transaction is long."""
        pruned = 0
        while True:
            async with across_tenants(self._pool) as connection:
                before = await self._now(connection) - keep
                gone = int(await self._queries.prune(connection, before=before, count=PRUNED_AT_ONCE))
            pruned += gone
            if gone < PRUNED_AT_ONCE:
                return pruned

    @property
    def sealed(self) -> list[Sealed]:
        """Where secrets of endpoints are."""
        return [Sealed(self._pool, DISPATCHER, self._queries.sealed_before, self._queries.save_secrets)]
