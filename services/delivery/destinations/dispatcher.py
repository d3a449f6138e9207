"""Brings what is due. A claim is a lease that is renewed while its carrier works: of a process that dies, another one goes on by the ledger."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import asyncpg
import structlog

from services.delivery.core.access import Standing
from services.delivery.core.destinations.life import Arrived, Happening, Pointless, Refused, Status, Waited
from services.delivery.core.destinations.problems import UNEXPECTED, Code, Undelivered
from services.delivery.destinations.carrier import Carrier, Place
from services.delivery.destinations.freight import Freight, refuse_gone
from services.delivery.destinations.ledger import PostgresLedger
from services.delivery.destinations.leftovers import Leftovers
from services.delivery.destinations.metrics import ATTEMPTS, ENDED, PAUSED, SECONDS, UNDER_WAY
from services.delivery.destinations.queue import Claim, Limits, Queue, Recorded, Result
from services.delivery.destinations.store import Problem
from services.delivery.dispatching import Dispatching
from shared.consumer import persist
from shared.database import in_time
from shared.errors import TransientError
from shared.observability import span
from shared.outbox import Outbox
from shared.stopping import Stopping

log = structlog.get_logger()
Outcome = tuple[Happening, Problem | None]


@dataclass
class _Trip:
    """A delivery under way. `verdict`: why its carrier was called off; what is to be recorded, nothing where the claim is another's."""

    claim: Claim
    until: float  # of the lease, by the monotonic clock
    carrying: asyncio.Task[Outcome]
    called_off: bool = False
    verdict: Outcome | None = None

    def call_off(self, verdict: Outcome | None) -> None:
        if not self.called_off:
            self.called_off, self.verdict = True, verdict
            self.carrying.cancel()


class Dispatcher(Dispatching[Claim]):
    """Brings deliveries; while it does it renews their leases."""

    waits = "deliveries_wait"

    def __init__(
        self, pool: asyncpg.Pool, queue: Queue, freight: Freight, carriers: Mapping[str, Carrier], limits: Limits, lease_seconds: float,
        leftovers: Leftovers, outbox: Outbox, clock: Callable[[], datetime],
    ) -> None:  # fmt: skip
        super().__init__()
        self._pool, self._queue, self._freight, self._carriers = pool, queue, freight, carriers
        self._leftovers, self._outbox = leftovers, outbox
        self._limits, self._lease_seconds, self._clock = limits, lease_seconds, clock
        self._trips: dict[str, _Trip] = {}

    def _room(self) -> tuple[int, int]:
        """For how many more there are places, and of these for how many large ones."""
        large = sum(not claim.small for claim in self._tasks.values())
        total = self._limits.total - len(self._tasks)
        return total, max(0, min(total, self._limits.total // 2 - large))

    async def _claim(self) -> Sequence[Claim]:
        total, large = self._room()
        return await self._queue.claim(total, large, self._lease_seconds) if total > 0 else []

    async def _hand_back(self, claims: Sequence[Claim]) -> None:
        await self._queue.hand_back(claims)

    def _ended(self, task: asyncio.Task[None]) -> None:
        super()._ended(task)
        self.wake()  # its place, and its destination's, are free

    def _measure(self) -> None:
        UNDER_WAY.set(len(self._tasks))

    # ---- one delivery

    async def _work(self, claim: Claim) -> None:
        began, started = self._clock(), time.monotonic()
        with structlog.contextvars.bound_contextvars(export_id=claim.export_id, delivery_id=claim.id, destination_id=claim.destination_id):
            trip = _Trip(claim, claim.until, asyncio.create_task(self._carry(claim)))
            self._trips[claim.id] = trip
            try:
                outcome: Outcome | None = await trip.carrying
            except asyncio.CancelledError:
                if _is_cancelled():  # the process ends
                    raise
                outcome = trip.verdict if trip.called_off else _defect(claim)
            if outcome is not None:
                seconds = time.monotonic() - started
                await self._record(Result(claim, *outcome, began, round(seconds * 1000)))
                SECONDS.labels(claim.type).observe(seconds)
            else:
                log.warning("delivery_lost", reason="its lease ran out, or it was cancelled")
            if self._trips.get(claim.id) is trip:
                del self._trips[claim.id]

    async def _carry(self, claim: Claim) -> Outcome:
        """What came of an attempt. Raises nothing but CancelledError: what a carrier didn't foresee is one delivery's trouble, not the process's."""
        try:
            with span("deliver", {"traceparent": claim.traceparent} if claim.traceparent else None):
                carrier = self._carriers[claim.type]
                shipment = await self._freight.load(claim)
                ledger = await PostgresLedger.open(self._pool, claim.org_id, claim.id, claim.claimed_by, self._clock)
                await carrier.carry(self._place(claim), shipment, ledger)
                return Arrived(), None
        except Undelivered as refusal:
            problem = Problem(refusal.code, refusal.message)
            return (Pointless() if refusal.code is Code.gone else Refused(refusal.again, refusal.retry_after)), problem
        except TransientError as error:
            log.warning("delivery_waits", dependency=error.dependency, reason=str(error))
            return Waited(), None
        except Exception:
            return _defect(claim)

    def _place(self, claim: Claim) -> Place:
        if claim.destination_id is None:
            return Place("", claim.org_id, {})
        return self._freight.place({"id": claim.destination_id, "org_id": claim.org_id, "config": claim.config, "sealed": claim.sealed})

    # ---- what came of it

    async def _record(self, result: Result) -> None:
        recorded: Recorded | None = None

        async def record() -> None:
            nonlocal recorded
            recorded = await self._queue.record(result)

        try:
            await persist(record)
        except Stopping:  # PostgreSQL is away: the lease runs out by itself
            return
        except Exception:  # one delivery's trouble, not everybody's: it is due again when its lease runs out
            log.exception("delivery_defect", type=result.claim.type)
            return
        _count(result, recorded)
        self._outbox.wake()
        if recorded is not None and recorded.status in (Status.failed, Status.cancelled):
            await self._leftovers.clear(result.claim.id)
        if recorded is not None and recorded.due_in is not None:
            self.wake_in(recorded.due_in.total_seconds())

    # ---- leases

    async def _beside(self) -> None:
        while True:
            await asyncio.sleep(self._lease_seconds / 3)
            if self._trips:
                await self._renew(dict(self._trips))

    async def _renew(self, trips: Mapping[str, _Trip]) -> None:
        """Whoever has lost a lease stops: another one may be at it."""
        until, margin = time.monotonic() + self._lease_seconds, self._lease_seconds / 6
        patience = min(trip.until for trip in trips.values()) - time.monotonic() - margin
        ours: Mapping[str, Standing | None] = {}
        try:
            # A server that hangs is waited for no longer than the leases bear: whoever it answers may have them then.
            ours = await in_time(self._queue.renew([trip.claim for trip in trips.values()], self._lease_seconds), max(margin, patience))
        except (TransientError, TimeoutError) as error:
            log.warning("leases_wait", dependency="PostgreSQL", reason=str(error) or "It does not answer")
            for trip in trips.values():
                if time.monotonic() + self._lease_seconds / 3 > trip.until:
                    trip.call_off(None)
            return
        for delivery_id, trip in trips.items():
            if delivery_id not in ours:
                trip.call_off(None)
                continue
            trip.until = until
            try:
                refuse_gone(ours[delivery_id], self._clock())
            except Undelivered as refusal:
                trip.call_off((Pointless(), Problem(refusal.code, refusal.message)))


def _defect(claim: Claim) -> Outcome:
    """What nobody foresaw, in the log with its trace: to be called where it is caught."""
    log.exception("delivery_defect", type=claim.type)
    return Refused(again=True), Problem(Code.unexpected, UNEXPECTED)


def _is_cancelled() -> bool:
    """Whether it is the task itself that is told to end, and not only what it waits for."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _count(result: Result, recorded: Recorded | None) -> None:
    """Count what it came to, and say what people should know."""
    claim, problem = result.claim, result.problem
    if result.attempted:
        ATTEMPTS.labels(claim.type, problem.code if problem else "arrived").inc()
    if recorded is None:
        log.warning("delivery_lost", reason="another process has it, or it was cancelled")
        return
    if recorded.due_in is None:
        ENDED.labels(claim.type, recorded.status).inc()
    log.info(
        "delivery_attempted",
        outcome=result.outcome,
        status=str(recorded.status),
        code=problem.code if problem else None,
        milliseconds=result.milliseconds,
    )
    if recorded.paused:
        PAUSED.inc()
        log.warning("destination_paused", type=claim.type, code=problem.code if problem else None)
