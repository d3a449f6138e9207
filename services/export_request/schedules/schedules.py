"""What an organisation does with its schedules. Another organisation's are not there."""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

import asyncpg

from services.export_request.asking import organisation_of
from services.export_request.core import destinations, upgrades
from services.export_request.core.destinations import Named
from services.export_request.core.events import windows_skipped_event
from services.export_request.core.schedules.backfills import BACKFILLS_AT_ONCE, backfill
from services.export_request.core.schedules.bodies import SCHEDULES_MAX, Wanted, resumption, wanted
from services.export_request.core.schedules.runs import Kind, decide, due_at, retimed
from services.export_request.core.schedules.view import backfill_view, run_view, schedule_view
from services.export_request.core.windows import Window, first_window, newest_window
from services.export_request.effects import Row
from services.export_request.queries import load as load_exports
from services.export_request.queries import rows
from services.export_request.schedules.queries import load
from services.export_request.schedules.scheduler import Scheduler, new_run, of_instants, skipped, timing_of
from shared import audit
from shared.database import Connection, lock_count, tenant
from shared.datasets import registry as datasets
from shared.errors import conflict, not_found
from shared.http import Principal
from shared.ids import new_id
from shared.outbox import Outbox

BACKFILLS_SHOWN = 10


class Schedules:
    """Every call is one transaction; a run that is asked for now is started in a second one."""

    def __init__(
        self, pool: asyncpg.Pool, outbox: Outbox, scheduler: Scheduler, clock: Callable[[], datetime], upgrading: bool = False
    ) -> None:
        self._pool, self._outbox, self._scheduler, self._clock, self._upgrading = pool, outbox, scheduler, clock, upgrading
        self._queries, self._exports = load(), load_exports()

    # ---- schedules

    async def create(self, by: Principal, body: Mapping[str, Any]) -> dict[str, Any]:
        """Raises ApiError: 400 and 422 that name the fields, 403, 409 where there are too many."""
        now, schedule_id = self._clock(), new_id("sch")
        async with tenant(self._pool, by.org_id) as connection:
            asked = wanted(body, organisation_of(await self._exports.organisation(connection)), now)
            _check_rights(by, asked)
            self._refuse_while_upgrading(asked)
            await self._require_there(connection, asked.destinations)
            await lock_count(connection, "exports.schedules", by.org_id)
            if await self._queries.count_schedules(connection, org_id=by.org_id) >= SCHEDULES_MAX:
                raise conflict(f"An organisation has at most {SCHEDULES_MAX} schedules: delete one that is not needed.")
            window = first_window(asked.timing, now)
            row = await self._queries.add_schedule(
                connection, id=schedule_id, org_id=by.org_id, now=now, **_columns(asked), **self._next(schedule_id, window)
            )
            await self._keep_password(connection, row, asked.resolved.password)
            await self._note(connection, by, "created", schedule_id, **_told(row))
        self._outbox.wake()
        return self._view(row)

    async def page(self, org_id: str, after: tuple[datetime, str] | None, count: int) -> tuple[list[Row], list[dict[str, Any]]]:
        at, last = after or (None, None)
        async with tenant(self._pool, org_id, readonly=True) as connection:
            found = await rows(self._queries.list_schedules(connection, org_id=org_id, after_at=at, after_id=last, count=count))
            runs = await self._last_runs(connection, [row["id"] for row in found])
        return found, [self._view(row, runs.get(row["id"])) for row in found]

    async def show(self, org_id: str, schedule_id: str) -> dict[str, Any]:
        """With its newest backfills and how far they are."""
        async with tenant(self._pool, org_id, readonly=True) as connection:
            row = _there(await self._queries.schedule(connection, id=schedule_id))
            runs = await self._last_runs(connection, [schedule_id])
            found = await rows(self._queries.backfills(connection, schedule_id=schedule_id, count=BACKFILLS_SHOWN))
        return {**self._view(row, runs.get(schedule_id)), "backfills": [backfill_view(each) for each in found]}

    async def change(self, by: Principal, schedule_id: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """What `body` names. A new timing begins where the last window ended. A password that isn't named stays, while one is wanted."""
        now = self._clock()
        async with tenant(self._pool, by.org_id) as connection:
            row = _there(await self._queries.lock_schedule(connection, id=schedule_id))
            organisation = organisation_of(await self._exports.organisation(connection))
            known = None if _names_password(body) else await self._scheduler.password(connection, row)
            asked = wanted(body, organisation, now, _before(row), known)
            _check_rights(by, asked)
            self._refuse_while_upgrading(asked)
            if "destinations" in body:
                await self._require_there(connection, asked.destinations)
            window = Window(row["next_from"], row["next_to"])
            if asked.timing != timing_of(row):
                window = retimed(asked.timing, row["next_from"], row["decided"], now)
            saved = await self._queries.save_schedule(
                connection, id=schedule_id, paused_at=row["paused_at"], now=now, **_columns(asked), **self._next(schedule_id, window)
            )
            await self._keep_password(connection, saved, asked.resolved.password)
            changed: dict[str, Any] = {
                name: {"old": before, "new": after}
                for (name, before), after in zip(_told(row).items(), _told(saved).values(), strict=True)
                if before != after
            }
            if _names_password(body):
                changed["new_password"] = True
            if changed:
                await self._note(connection, by, "changed", schedule_id, **changed)
            runs = await self._last_runs(connection, [schedule_id])
        self._outbox.wake()
        self._scheduler.wake()
        return self._view(saved, runs.get(schedule_id))

    async def delete(self, by: Principal, schedule_id: str) -> None:
        """With its runs and its password. Exports that it has begun go on, and stay."""
        async with tenant(self._pool, by.org_id) as connection:
            _there(await self._queries.lock_schedule(connection, id=schedule_id))
            await self._queries.delete_schedule(connection, id=schedule_id)
            await self._note(connection, by, "deleted", schedule_id)
        self._outbox.wake()

    async def pause(self, by: Principal, schedule_id: str) -> dict[str, Any]:
        """No window is decided any more; what has begun goes on. Again: nothing."""
        return await self._switch(by, schedule_id, True, None)

    async def resume(self, by: Principal, schedule_id: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """The windows of the pause are caught up with as the schedule says, or as `body` does for this once."""
        return await self._switch(by, schedule_id, False, resumption(body))

    async def _switch(self, by: Principal, schedule_id: str, paused: bool, catch_up: str | None) -> dict[str, Any]:
        now = self._clock()
        async with tenant(self._pool, by.org_id) as connection:
            row = _there(await self._queries.lock_schedule(connection, id=schedule_id))
            runs = await self._last_runs(connection, [schedule_id])
            if (row["paused_at"] is not None) is paused:
                return self._view(row, runs.get(schedule_id))
            window = Window(row["next_from"], row["next_to"])
            if not paused and catch_up == "newest" and window.to <= now:
                decision = decide(timing_of(row), window, "newest", of_instants(row), now)
                passed = skipped(row, decision, now)
                await self._queries.add_run(connection, passed)
                await self._outbox.add(connection, [windows_skipped_event(row, each, new_id("evt"), now) for each in passed])
                window = decision.run
            kept = {name: row[name] for name in _KEPT}
            saved = await self._queries.save_schedule(
                connection, id=schedule_id, now=now, paused_at=now if paused else None, **kept, **self._next(schedule_id, window)
            )
            await self._note(connection, by, "paused" if paused else "resumed", schedule_id, **({"catch_up": catch_up} if catch_up else {}))
        self._outbox.wake()
        self._scheduler.wake()
        return self._view(saved, runs.get(schedule_id))

    # ---- runs

    async def run_now(self, by: Principal, schedule_id: str) -> dict[str, Any]:
        """Runs the newest window that has ended, whether it has run or not; for a dataset that shows an instant, this one. It waits where a limit says so."""
        now = self._clock()
        async with tenant(self._pool, by.org_id) as connection:
            row = _there(await self._queries.schedule(connection, id=schedule_id))
            _check_dataset(by, row["dataset"])
            window = newest_window(timing_of(row), now)
            if of_instants(row):
                window = Window(window.to, now.replace(microsecond=0))
            run = new_run(row, Kind.manual, window, now, start_at=now)
            await self._queries.add_run(connection, [run])
            await self._note(connection, by, "run", schedule_id, run=run["id"])
        self._outbox.wake()
        await self._scheduler.start(by.org_id, schedule_id, run["id"])
        async with tenant(self._pool, by.org_id, readonly=True) as connection:
            found = await self._queries.run(connection, id=run["id"])
        if found is None:
            raise not_found("The schedule")
        return run_view(found)

    async def runs(
        self, org_id: str, schedule_id: str, statuses: Sequence[str], before: tuple[datetime, str] | None, count: int
    ) -> tuple[list[Row], list[dict[str, Any]]]:
        """Newest windows first, and how they are shown."""
        at, last = before or (None, None)
        async with tenant(self._pool, org_id, readonly=True) as connection:
            _there(await self._queries.schedule(connection, id=schedule_id))
            found = await rows(
                self._queries.list_runs(
                    connection, schedule_id=schedule_id, statuses=list(statuses) or None, before_at=at, before_id=last, count=count
                )
            )
            return found, await self._with_deliveries(connection, found)

    async def backfill(self, by: Principal, schedule_id: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Runs the windows of a range, oldest first, one at a time; those that have run only where `again` says so."""
        now = self._clock()
        async with tenant(self._pool, by.org_id) as connection:
            row = _there(await self._queries.lock_schedule(connection, id=schedule_id))
            _check_dataset(by, row["dataset"])
            asked = backfill(body, row["dataset"], json.loads(row["export"]), timing_of(row), min(row["next_from"], now))
            under_way = [
                each
                for each in await rows(self._queries.backfills(connection, schedule_id=schedule_id, count=100))
                if each["waiting"] + each["running"]
            ]
            if len(under_way) >= BACKFILLS_AT_ONCE:
                raise conflict(f"{len(under_way)} backfills of this schedule are under way: wait until one has ended.")
            todo = asked.windows
            if not asked.again:
                ran = {
                    (each["window_from"], each["window_to"])
                    for each in await rows(
                        self._queries.windows_run(connection, schedule_id=schedule_id, from_at=todo[0].from_, to_at=todo[-1].to)
                    )
                }
                todo = tuple(window for window in todo if (window.from_, window.to) not in ran)
            backfill_id = new_id("bf")
            await self._queries.add_backfill(
                connection,
                id=backfill_id,
                schedule_id=schedule_id,
                org_id=by.org_id,
                from_at=asked.start,
                to_at=asked.end,
                windows=len(todo),
                now=now,
            )
            made = [new_run(row, Kind.backfill, window, now, now if n == 0 else None, backfill_id) for n, window in enumerate(todo)]
            if made:
                await self._queries.add_run(connection, made)
            await self._note(connection, by, "backfilled", schedule_id, backfill=backfill_id, windows=len(todo))
            found = await rows(self._queries.backfills(connection, schedule_id=schedule_id, count=1))
        self._outbox.wake()
        self._scheduler.wake()
        return backfill_view(found[0]) | {"already_run": len(asked.windows) - len(todo)}

    # ---- pieces

    def _refuse_while_upgrading(self, asked: Wanted) -> None:
        upgrades.refuse(self._upgrading, [("destinations", bool(asked.destinations)), ("export.since", "since" in asked.export)])

    async def _require_there(self, connection: Connection, named: Sequence[Named]) -> None:
        """Raises ApiError that names the fields."""
        if ids := destinations.ids_of(named):
            known = {row["id"]: row["type"] for row in await rows(self._exports.destinations(connection, ids=ids))}
            destinations.require_there(named, known)

    async def _with_deliveries(self, connection: Connection, runs: Sequence[Row]) -> list[dict[str, Any]]:
        """Views of runs, each with what became of its export's files."""
        ids = [run["export_id"] for run in runs if run["export_id"] is not None]
        made: dict[str, list[Row]] = {}
        for row in await rows(self._queries.deliveries_of(connection, export_ids=ids)) if ids else []:
            made.setdefault(row["export_id"], []).append(row)
        return [run_view(run, made.get(run["export_id"], ())) for run in runs]

    def _next(self, schedule_id: str, window: Window) -> dict[str, Any]:
        return {"next_from": window.from_, "next_to": window.to, "due_at": due_at(schedule_id, window, self._scheduler.spread_seconds)}

    def _view(self, row: Row, last_run: dict[str, Any] | None = None) -> dict[str, Any]:
        return schedule_view(row, json.loads(row["export"]), last_run)

    async def _last_runs(self, connection: Connection, ids: list[str]) -> dict[str, dict[str, Any]]:
        """Views of them, by schedule."""
        found = await rows(self._queries.last_runs(connection, schedule_ids=ids))
        return {view["schedule_id"]: view for view in await self._with_deliveries(connection, found)}

    async def _keep_password(self, connection: Connection, row: Row, password: str | None) -> None:
        if password is None:
            await self._queries.forget_password(connection, schedule_id=row["id"])
        else:
            sealed = self._scheduler.seal.seal(password.encode(), row["id"])
            await self._queries.put_password(connection, schedule_id=row["id"], org_id=row["org_id"], sealed=sealed)

    async def _note(self, connection: Connection, by: Principal, action: str, schedule_id: str, **details: Any) -> None:
        """In the audit trail, with what is done."""
        await self._outbox.add(connection, [audit.entry(by, f"schedule.{action}", schedule_id, details)])


_KEPT = ("name", "export", "dataset", "frequency", "cron", "timezone", "sftp", "destinations", "catch_up", "protected")


def _there(row: Row | None) -> Row:
    if row is None:
        raise not_found("The schedule")
    return row


def _check_rights(by: Principal, asked: Wanted) -> None:
    _check_dataset(by, asked.resolved.spec.dataset)
    if destinations.sends_to_anybody(asked.destinations):
        by.require("exports:download")


def _check_dataset(by: Principal, dataset: str) -> None:
    """Raises ApiError 403: what its dataset protects may only be scheduled by who may download it."""
    if datasets.get(dataset).protected:
        by.require("exports:download")


def _names_password(body: Mapping[str, Any]) -> bool:
    return isinstance(body.get("export"), dict) and "password" in body["export"]


def _before(row: Row) -> dict[str, Any]:
    """A schedule as the body that would make it."""
    timing = {name: row[name] for name in ("frequency", "cron") if row[name] is not None}
    return {
        **{name: row[name] for name in ("name", "timezone", "sftp", "catch_up")},
        **timing,
        "export": json.loads(row["export"]),
        "destinations": json.loads(row["destinations"]),
    }


def _columns(asked: Wanted) -> dict[str, Any]:
    return {
        "name": asked.name, "export": json.dumps(asked.export, ensure_ascii=False), "dataset": asked.resolved.spec.dataset, "frequency": asked.timing.frequency,
        "cron": asked.timing.cron, "timezone": asked.timing.timezone, "sftp": asked.sftp,
        "destinations": destinations.stored(asked.destinations), "catch_up": asked.catch_up, "protected": asked.resolved.password is not None,
    }  # fmt: skip


def _told(row: Mapping[str, Any]) -> dict[str, Any]:
    """A schedule as the audit trail may hold it: filters can hold a person's data."""
    named = {name: row[name] for name in ("name", "frequency", "cron", "timezone", "sftp", "catch_up", "dataset")}
    export = json.loads(row["export"])
    named["destinations"] = destinations.told(json.loads(row["destinations"]))
    return named | {"filtered": sorted(export.get("filter", {})), "fields": sorted(export)}
