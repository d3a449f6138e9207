"""The queue across organisations: claim what is due, keep the claim, record what came of it. Several processes may do so at once."""

import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import asyncpg

from services.delivery.core.access import Standing
from services.delivery.core.destinations.life import Arrived, Happening, Reason, Refused, Status, health_after, held_until, step
from services.delivery.core.destinations.problems import Code
from services.delivery.destinations.store import COURIER, DestinationStore, Problem, Row, delivery_of, health_of, load, rows, standing_of
from services.delivery.destinations.telling import Failed, Paused, Told
from services.delivery.resealing import Sealed
from shared.database import Connection, across_tenants

PRUNED_AT_ONCE = 2000


@dataclass(frozen=True)
class Limits:
    """Deliveries under way at once: in this process, of an organisation and to a destination in all processes. Half of this process's are kept for small ones."""

    total: int = 16
    organisation: int = 8
    destination: int = 1

    @property
    def organisation_large(self) -> int:
        """Large ones of an organisation: half of those that there is room for."""
        return max(1, min(self.organisation, self.total // 4))


@dataclass(frozen=True)
class Claim:
    """A delivery that this process brings now. The secrets are still sealed."""

    id: str
    org_id: str
    export_id: str
    schedule_id: str | None
    destination_id: str | None
    destination_name: str | None
    type: str
    recipients: Sequence[str] | None
    event: str = field(repr=False)
    small: bool
    traceparent: str
    claimed_by: str
    config: str = field(repr=False)
    sealed: bytes | None = field(repr=False)
    until: float  # of the lease, by this process's monotonic clock


@dataclass(frozen=True)
class Result:
    """What came of a claim. `attempted`: it counts as an attempt of the destination's."""

    claim: Claim
    happening: Happening
    problem: Problem | None
    began: datetime
    milliseconds: int

    @property
    def attempted(self) -> bool:
        return self.outcome in ("arrived", "refused")

    @property
    def outcome(self) -> str:
        return type(self.happening).__name__.lower()


@dataclass(frozen=True)
class Recorded:
    """What a result came to: the delivery's status, in how long it is due again, whether its destination was paused by it."""

    status: Status
    due_in: timedelta | None
    paused: bool


class Queue:
    """By the store's clock, so that no process takes what another one has claimed. `chance` gives numbers in [0, 1)."""

    def __init__(
        self, pool: asyncpg.Pool, store: DestinationStore, told: Told, limits: Limits, scale: float, chance: Callable[[], float]
    ) -> None:
        self._pool, self._store, self._told, self._limits, self._queries = pool, store, told, limits, load()
        self._scale, self._chance = scale, chance

    async def claim(self, total: int, large: int, lease_seconds: float) -> list[Claim]:
        """At most `total`, of which at most `large` are large ones."""
        until = time.monotonic() + lease_seconds
        async with across_tenants(self._pool, COURIER) as connection:
            if not await self._queries.lock_claims(connection):
                return []
            now = await self._store.now(connection)
            found = await rows(self._queries.claim(
                connection, now=now, lease_until=now + timedelta(seconds=lease_seconds), claim=secrets.token_hex(8), total=total, large=large,
                organisation_places=self._limits.organisation, organisation_large=self._limits.organisation_large,
                destination_places=self._limits.destination,
            ))  # fmt: skip
        return [Claim(**row, until=until) for row in found]

    async def renew(self, claims: Sequence[Claim], lease_seconds: float) -> dict[str, Standing | None]:
        """Those that are still ours, by delivery: how their exports stand."""
        async with across_tenants(self._pool, COURIER) as connection:
            until = await self._store.now(connection) + timedelta(seconds=lease_seconds)
            found = await rows(self._queries.renew(connection, **_named(claims), lease_until=until))
        return {row["id"]: standing_of(row) for row in found}

    async def hand_back(self, claims: Sequence[Claim]) -> None:
        async with across_tenants(self._pool, COURIER) as connection:
            await self._queries.hand_back(connection, **_named(claims), now=await self._store.now(connection))

    # ---- recording

    async def record(self, result: Result) -> Recorded | None:
        """In one transaction: the attempt, what becomes of the delivery, its destination's health, who is told. None where the claim was lost: whoever has it says."""
        claim = result.claim
        async with self._store.transaction(claim.org_id) as connection:
            destination = await self._store.lock(connection, claim.destination_id) if claim.destination_id else None
            row = await self._queries.lock_claimed(connection, id=claim.id, claim=claim.claimed_by)
            if row is None:
                return None
            now = await self._store.now(connection)
            if isinstance(result.happening, Arrived) and (why := await self._queries.came_back_of(connection, delivery_id=claim.id)):
                result = replace(result, happening=Refused(again=False), problem=Problem(Code.bounced, f"A mail {why}"))
            paused = destination is not None and destination["paused_reason"] is not None
            after = step(delivery_of(row), result.happening, now, self._chance(), self._scale, paused)
            await self._store.save_delivery(connection, row, after, result.problem or _kept(row, after.status), now)
            if result.attempted:
                await self._add_attempt(connection, result, after.attempts)
            if destination is not None and (until := held_until(result.happening, now)):
                await self._queries.leave_alone(connection, id=destination["id"], until=until)
            fell = await self._save_health(connection, destination, result, after.status, now)
            if after.status is Status.failed and result.problem is not None:
                await self._told.failed(connection, _failed(result, result.problem, after.attempts, now))
        return Recorded(after.status, None if after.due_at is None else after.due_at - now, fell)

    async def _add_attempt(self, connection: Connection, result: Result, number: int) -> None:
        code, message = (result.problem.code, result.problem.message) if result.problem else (None, None)
        await self._queries.add_attempt(
            connection, delivery_id=result.claim.id, number=number, org_id=result.claim.org_id, at=result.began, milliseconds=result.milliseconds,
            error_code=code, error_message=message,
        )  # fmt: skip

    async def _save_health(self, connection: Connection, destination: Row | None, result: Result, status: Status, now: datetime) -> bool:
        """Whether the destination was paused by it."""
        if destination is None:
            return False
        before = health_of(destination)
        after = health_after(before, status, now)
        if after == before:
            return False
        await self._store.save_health(connection, destination, after, now)
        if before.paused or after.paused is not Reason.failing or result.problem is None:
            return False
        await self._told.paused(connection, Paused(
            now, destination["org_id"], destination["id"], destination["name"], destination["type"], after.failures, after.failing_since or now,
            result.problem.code, result.problem.message,
        ))  # fmt: skip
        return True

    # ---- upkeep

    async def leftovers(self, settled: timedelta, count: int, delivery_id: str | None = None) -> list[Row]:
        """What is half there of deliveries that were given up, with their destinations: of one, or of those that ended so long ago."""
        async with across_tenants(self._pool, COURIER) as connection:
            before = None if delivery_id else await self._store.now(connection) - settled
            return await rows(self._queries.leftovers(connection, delivery_id=delivery_id, before=before, count=count))

    async def forget_notes(self, row: Row) -> None:
        """Of a row of `leftovers`: it was taken away."""
        async with across_tenants(self._pool, COURIER) as connection:
            await self._queries.forget_notes(connection, delivery_id=row["delivery_id"], names=row["names"], notes=row["notes"])

    async def leftovers_of_deleted(self, settled: timedelta, count: int, destination_id: str | None = None) -> list[Row]:
        """The same of destinations that were deleted: of one, or of those that were so long ago. `notes` is a list of name → note, as JSON."""
        async with across_tenants(self._pool, COURIER) as connection:
            before = None if destination_id else await self._store.now(connection) - settled
            return await rows(self._queries.leftovers_of_deleted(connection, destination_id=destination_id, before=before, count=count))

    async def leftovers_tried(self, destination_id: str, gone: bool) -> None:
        async with across_tenants(self._pool, COURIER) as connection:
            if gone:
                await self._queries.forget_leftovers(connection, destination_id=destination_id)
            else:
                await self._queries.leftovers_tried(connection, destination_id=destination_id, now=await self._store.now(connection))

    async def give_up_leftovers(self, after: timedelta) -> list[str]:
        """Those of destinations that were deleted longer ago; which destinations."""
        async with across_tenants(self._pool, COURIER) as connection:
            found = await rows(self._queries.give_up_leftovers(connection, before=await self._store.now(connection) - after))
        return [row["destination_id"] for row in found]

    async def facts(self) -> tuple[int, int, float]:
        """(how many wait, how many are held, for how many seconds the oldest that could be brought has been due)."""
        async with across_tenants(self._pool, COURIER) as connection:
            now = await self._store.now(connection)
            row = await self._queries.queue_facts(connection, now=now)
        return row["waiting"], row["held"], max(0.0, (now - row["oldest"]).total_seconds()) if row["oldest"] else 0.0

    async def cancel_pointless(self) -> int:
        """What waits for an export whose files are gone; how many."""
        async with across_tenants(self._pool, COURIER) as connection:
            now = await self._store.now(connection)
            return int(await self._queries.cancel_pointless(connection, code=Code.gone, message=GONE_MEANWHILE, now=now))

    async def prune(self, keep: timedelta) -> int:
        """Forget deliveries that ended, and were made longer ago; how many. In steps, so that no transaction is long."""
        pruned = 0
        while True:
            async with across_tenants(self._pool, COURIER) as connection:
                before = await self._store.now(connection) - keep
                gone = int(await self._queries.prune(connection, before=before, count=PRUNED_AT_ONCE))
            pruned += gone
            if gone < PRUNED_AT_ONCE:
                return pruned

    @property
    def sealed(self) -> list[Sealed]:
        """Where secrets of destinations are."""
        queries = self._queries
        return [
            Sealed(self._pool, COURIER, queries.sealed_before, queries.save_sealed),
            Sealed(self._pool, COURIER, queries.leftovers_sealed_before, queries.save_leftovers_sealed),
        ]


GONE_MEANWHILE = "The export was deleted, recalled or expired before its files could be brought."


def _named(claims: Sequence[Claim]) -> dict[str, list[str]]:
    return {"ids": [each.id for each in claims], "claims": [each.claimed_by for each in claims]}


def _kept(row: Row, status: Status) -> Problem | None:
    """What went wrong last is shown until it arrived."""
    return None if status is Status.delivered or row["error_code"] is None else Problem(row["error_code"], row["error_message"])


def _failed(result: Result, problem: Problem, attempts: int, now: datetime) -> Failed:
    claim = result.claim
    return Failed(
        now, claim.org_id, claim.id, claim.export_id, claim.schedule_id, claim.type, claim.destination_id, claim.destination_name, attempts,
        problem.code, problem.message,
    )  # fmt: skip
