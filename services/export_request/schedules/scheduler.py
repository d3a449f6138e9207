"""Runs schedules: decides whose window has come, and starts the exports of runs.

Several schedulers can run. A window is decided in one transaction (the run is added, the schedule goes on to its next window) under the schedule's lock, and a
run is started in one transaction (the export is accepted, the run has it) under the run's lock: whoever dies in the middle leaves it as it was.
"""

import asyncio
import contextlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import asyncpg
import structlog

from services.export_request.asking import Request, ScheduledRun, organisation_of
from services.export_request.assembly import published_as, spec_of
from services.export_request.core.events import windows_skipped_event
from services.export_request.core.naming import folder
from services.export_request.core.request.resolving import resolve
from services.export_request.core.schedules.bodies import measured, request_of, shows_an_instant
from services.export_request.core.schedules.runs import RUNS_BEFORE, Decision, Kind, RunStatus, base_fits, decide, due_at
from services.export_request.core.windows import Timing, Window
from services.export_request.effects import Row
from services.export_request.intake import Intake
from services.export_request.metrics import SCHEDULE_CLOCK, SCHEDULE_RUNS, SCHEDULE_START_SECONDS
from services.export_request.queries import load as load_exports
from services.export_request.queries import rows
from services.export_request.schedules.ending import close
from services.export_request.schedules.queries import load
from shared.database import Connection, Time, across_tenants, database_now, savepoint, tenant
from shared.datasets import registry as datasets
from shared.errors import ApiError, TransientError
from shared.ids import new_id
from shared.outbox import Outbox, Outgoing
from shared.sealing import SCHEDULE_PASSWORDS, CannotOpen, Seal

log = structlog.get_logger()
POLL_SECONDS = 1.0
DECIDED_MAX = 200  # schedules of a transaction
STARTED_MAX = 50  # runs of a round
CLOCK_SECONDS_MAX = 60.0  # by which PostgreSQL's clock and ours may differ
BEFORE_SECONDS = 30.0  # that a run waits for the one before at most, before it looks again
LIMIT_SECONDS_MAX = 3_600.0  # that a run waits for its organisation's limit, before it is tried again


@dataclass(frozen=True)
class Base:
    """The export that a run is measured from, or why it is whole; neither where the schedule asks for whole exports."""

    since: str | None = None
    code: str | None = None
    message: str | None = None


def of_instants(schedule: Row) -> bool:
    """Whether runs of the schedule have no range, and show the instant in which they start."""
    return shows_an_instant(schedule["dataset"], json.loads(schedule["export"]))


def timing_of(row: Row) -> Timing:
    return Timing(row["frequency"], row["cron"], row["timezone"])


class Scheduler:
    """A loop that several processes may run at once. `clock` is this process's; windows go by `time`, PostgreSQL's."""

    def __init__(
        self, pool: asyncpg.Pool, intake: Intake, outbox: Outbox, secret_key: str, spread_seconds: float, clock: Callable[[], datetime],
        time: Time = database_now,
    ) -> None:  # fmt: skip
        self._pool, self._intake, self._outbox, self._clock, self._time = pool, intake, outbox, clock, time
        self._queries, self._exports, self._wake = load(), load_exports(), asyncio.Event()
        self.seal, self.spread_seconds = Seal([secret_key], SCHEDULE_PASSWORDS), spread_seconds

    def wake(self) -> None:
        self._wake.set()

    async def run(self) -> None:
        while True:
            try:
                done = await self.step()
            except TransientError as error:
                log.warning("scheduler_waits", reason=str(error))
                done = 0
            if not done:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(POLL_SECONDS):
                        await self._wake.wait()
                self._wake.clear()

    async def step(self) -> int:
        """One round; returns how much was done. Starts come first, so that many decisions don't keep them waiting."""
        return await self.start_due() + await self.decide_due()

    # ---- which window

    async def decide_due(self) -> int:
        async with across_tenants(self._pool) as connection:
            now = await self._now(connection)
            if now is None:
                return 0
            due = await rows(self._queries.due(connection, now=now, count=DECIDED_MAX))
            if due:
                await self._decide(connection, due, now)
        return len(due)

    async def _now(self, connection: Connection) -> datetime | None:
        """PostgreSQL's time; None where it and ours are too far apart to tell whose clock is wrong: a window may not be over yet."""
        now, ours = await self._time(connection), self._clock()
        difference = (now - ours).total_seconds()
        SCHEDULE_CLOCK.set(difference)
        if abs(difference) <= CLOCK_SECONDS_MAX:
            return now
        log.error("clocks_disagree", seconds=round(difference))
        return None

    async def _decide(self, connection: Connection, due: list[Row], now: datetime) -> None:
        runs: list[dict[str, Any]] = []
        advances: list[dict[str, Any]] = []
        events: list[Outgoing] = []
        for row in due:
            timing = timing_of(row)
            decision = decide(timing, Window(row["next_from"], row["next_to"]), row["catch_up"], of_instants(row), now)
            run = new_run(row, Kind.scheduled, decision.run, now, start_at=now)
            passed = skipped(row, decision, now)
            runs += [*passed, run]
            after = decision.next
            advances.append({
                "id": row["id"], "next_from": after.from_, "next_to": after.to, "due_at": due_at(row["id"], after, self.spread_seconds),
                "open_run": run["id"],
            })  # fmt: skip
            events += [windows_skipped_event(row, each, new_id("evt"), now) for each in passed]
        await self._queries.add_run(connection, runs)
        await self._queries.advance(connection, advances)
        await self._outbox.add(connection, events)

    # ---- its export

    async def start_due(self) -> int:
        """Starts what is due, oldest first; returns how many."""
        async with across_tenants(self._pool) as connection:
            now = await self._time(connection)
            waiting = await rows(self._queries.to_start(connection, now=now, count=STARTED_MAX))
        started = 0
        for each in waiting:
            started += await self.start(each["org_id"], each["schedule_id"], each["id"])
        return started

    async def start(self, org_id: str, schedule_id: str, run_id: str) -> bool:
        """Accepts the run's export. False where somebody else does just now, or the run has to wait."""
        try:
            async with tenant(self._pool, org_id) as connection:
                now = await self._time(connection)
                schedule = await self._queries.lock_schedule_at_once(connection, id=schedule_id)
                run = await self._queries.lock_run(connection, id=run_id, now=now) if schedule is not None else None
                if schedule is None or run is None:
                    return False
                export = await self._accept(connection, schedule, run, now)
        except TransientError:
            raise
        except Exception as error:
            log.error("run_failed", run_id=run_id, kind=type(error).__name__, exc_info=error)
            await self._end(org_id, schedule_id, run_id, "start_failed", f"The run could not be started ({type(error).__name__}).")
            return True
        if export is None:
            return False
        self._intake.started(export, "schedule")
        SCHEDULE_START_SECONDS.observe(max(0.0, (now - run["window_to"]).total_seconds()))
        return True

    async def _accept(self, connection: Connection, schedule: Row, run: Row, now: datetime) -> Row | None:
        """The export; None where the run waits or has failed, which is noted."""
        export = json.loads(schedule["export"])
        base: Base = Base()
        if measured(export) and await self._queries.running(connection, schedule_id=schedule["id"]) is not None:
            # Side by side they would be measured from one export, and their files would not go one after the other.
            later = now + timedelta(seconds=BEFORE_SECONDS)
            message = "The run before has not ended, from which this one is measured."
            await self._queries.run_waits(connection, id=run["id"], start_at=later, code=RUNS_BEFORE, message=message, uncounted=0)
            return None
        try:
            if measured(export):
                base = await self._base(connection, schedule, run)
            accepted, base = await self._measured(connection, schedule, run, base)
        except ApiError as error:
            await self._refused(connection, schedule, run, error, now)
            return None
        name, _ = published_as(accepted, spec_of(accepted["spec"]), accepted["formats"][0])
        await self._queries.run_started(
            connection, id=run["id"], export_id=accepted["id"], file_name=name, now=now, since=base.since, whole_code=base.code, whole_message=base.message
        )  # fmt: skip
        return accepted

    async def _base(self, connection: Connection, schedule: Row, run: Row) -> "Base":
        """What the run may be measured from. Raises ApiError where it can't be asked for at all."""
        before = await self._queries.run_before(connection, schedule_id=schedule["id"])
        if before is None:
            return Base(None, "first", "There is no completed run that it could be measured from.")
        organisation = organisation_of(await self._exports.organisation(connection))
        whole = resolve((await self._request(connection, schedule, run)).body, organisation).spec
        if not base_fits(spec_of(before["spec"]), whole):
            return Base(None, "export_changed", "The schedule, or a setting that shapes rows, is another one than at the run before.")
        return Base(before["id"])

    async def _measured(self, connection: Connection, schedule: Row, run: Row, base: "Base") -> tuple[Row, "Base"]:
        """The export, and what it is measured from in the end: where the base can't be used any more it is whole. Raises ApiError."""
        try:
            async with savepoint(connection):  # refused, it leaves nothing behind
                return await self._intake.in_transaction(connection, await self._request(connection, schedule, run, base.since)), base
        except ApiError as error:
            if base.since is None or error.status not in (404, 409, 410, 422):
                raise
            whole = Base(None, error.code, _said(error) if error.status == 422 else error.message)
        return await self._measured(connection, schedule, run, whole)

    async def _request(self, connection: Connection, schedule: Row, run: Row, since: str | None = None) -> Request:
        organisation = organisation_of(await self._exports.organisation(connection))
        window = Window(run["window_from"] or run["window_to"], run["window_to"])
        password, export = await self.password(connection, schedule), json.loads(schedule["export"])
        instant = measured(export)
        body = request_of(export, schedule["timezone"], None if instant else window, organisation, password, since)
        where = folder(datasets.get(schedule["dataset"])) if schedule["sftp"] else ""
        scheduled = ScheduledRun(schedule["id"], window, schedule["timezone"], where, instant, tuple(json.loads(schedule["destinations"])))
        key = f"{run['id']}/{run['attempts'] + 1}"  # beside the lock: one attempt, one export
        return Request(schedule["org_id"], body, key, f"schedule:{schedule['id']}", run=scheduled)

    async def password(self, connection: Connection, schedule: Row) -> str | None:
        """The one that the schedule keeps; None where it has none. Raises ApiError 422 `password_lost`."""
        if not schedule["protected"]:
            return None
        try:
            return self.seal.open(await self._queries.password(connection, schedule_id=schedule["id"]) or b"", schedule["id"]).decode()
        except CannotOpen:
            raise ApiError(
                422,
                "password_lost",
                "The schedule's password can't be read, as the secret key was changed: give it again (PATCH with export.password).",
            ) from None

    async def _refused(self, connection: Connection, schedule: Row, run: Row, error: ApiError, now: datetime) -> None:
        """A limit of the organisation makes it wait; anything else, such as a column that is no more, is the end of the run."""
        if error.status == 429:
            seconds = min(float(error.headers.get("Retry-After", "5")), LIMIT_SECONDS_MAX)
            later = now + timedelta(seconds=seconds)
            await self._queries.run_waits(
                connection, id=run["id"], start_at=later, code=error.code, message=error.message, uncounted=0
            )  # fmt: skip
            await self._queries.others_wait(
                connection, org_id=run["org_id"], now=now, start_at=later, code=error.code, message=error.message
            )
            return
        await self._outbox.add(connection, await close(connection, schedule, run, RunStatus.failed, now, error.code, _said(error)))

    async def _end(self, org_id: str, schedule_id: str, run_id: str, code: str, message: str) -> None:
        async with tenant(self._pool, org_id) as connection:
            now = await self._time(connection)
            schedule = await self._queries.lock_schedule(connection, id=schedule_id)
            run = await self._queries.lock_run(connection, id=run_id, now=now)
            if run is not None:
                await self._outbox.add(connection, await close(connection, schedule, run, RunStatus.failed, now, code, message))
        self._outbox.wake()


def _said(error: ApiError) -> str:
    return "; ".join(f"{d.field}: {d.message}" if d.field else d.message for d in error.details) or error.message


def new_run(
    schedule: Row, kind: Kind, window: Window, now: datetime, start_at: datetime | None, backfill_id: str | None = None, **more: Any
) -> dict[str, Any]:
    """A row of exports.schedule_runs that waits. A dataset that shows an instant has no beginning."""
    instant = of_instants(schedule)
    made: dict[str, Any] = {
        "id": new_id("run"), "schedule_id": schedule["id"], "org_id": schedule["org_id"], "kind": kind, "backfill_id": backfill_id,
        "window_from": None if instant else window.from_, "window_to": window.to, "windows": 1, "status": RunStatus.waiting, "start_at": start_at,
        "code": None, "message": None, "now": now, "ended_at": None,
    }  # fmt: skip
    return {**made, **more}


def skipped(schedule: Row, decision: Decision, now: datetime) -> list[dict[str, Any]]:
    """What was passed over, as one run that says so."""
    if decision.skipped is None:
        return []
    why = (
        "A run shows the instant at which it is taken: earlier ones can't be made up for."
        if of_instants(schedule)
        else "The schedule catches up with the newest window only."
    )
    SCHEDULE_RUNS.labels(Kind.scheduled, RunStatus.skipped).inc()
    more: Mapping[str, Any] = {
        "windows": decision.skipped_windows,
        "status": RunStatus.skipped,
        "code": "missed",
        "message": why,
        "ended_at": now,
    }
    return [new_run(schedule, Kind.scheduled, decision.skipped, now, None, **more)]
