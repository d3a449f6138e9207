"""Walks the store once, has PostgreSQL compare it with the tables, and removes what is nobody's where that is asked for.

What the store lists goes to a temporary table in batches: memory is flat, no transaction stays open while the store is listed, and the order in which it
lists is of no matter. Several processes may run; one at a time has a reconciliation.
"""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

import asyncpg
import structlog

from services.delivery.core.notifications.notices import files_missing
from services.delivery.core.reconciling import HARM, KINDS, MATCHED, MISSING, UNDER_WAY, Count, Report
from services.delivery.notifications.store import Feed
from services.delivery.reconciling import metrics
from services.delivery.reconciling.store import Reconciliations, load, rows
from services.delivery.threads import Threads
from shared.database import DISPATCHER, Connection, sorted_errors
from shared.errors import PermanentError, TransientError
from shared.storage import ObjectInfo, ObjectStore

log = structlog.get_logger()
POLL_SECONDS = 2.0
LISTED_AT_ONCE = 5_000
REMOVED_AT_ONCE = 1_000
LEASE_SECONDS = 300.0
TOLD_AT_ONCE = 1_000
DOUBTFUL = 1_000  # orphans from which on it is looked whether they are most of the store


class Reconciler:
    """`pool`: connections whose statements may be long. `grace`: what is younger may still become somebody's. `every`: how long after the last one the next is begun by itself. `uploads`: an upload that is older was abandoned."""

    def __init__(
        self, pool: asyncpg.Pool, found: Reconciliations, objects: ObjectStore, feed: Feed, threads: Threads, grace: timedelta, every: timedelta, uploads: timedelta,
        clock: Callable[[], datetime], doubtful: int = DOUBTFUL,
    ) -> None:  # fmt: skip
        self._pool, self._found, self._objects, self._feed, self._threads = pool, found, objects, feed, threads
        self._grace, self._every, self._uploads, self._clock, self._doubtful, self._queries = grace, every, uploads, clock, doubtful, load()

    async def run(self) -> None:
        while True:
            try:
                await self._found.add_where_due(self._every)
                await self.step()
                await self._measure()
            except TransientError as error:
                log.warning("reconciliation_waits", dependency=error.dependency, reason=str(error))
            await asyncio.sleep(POLL_SECONDS)

    async def step(self) -> bool:
        """The oldest that was asked for and that nobody has; False where there is none. One that meets a passing error is taken up again by whoever comes, from the start."""
        asked = await self._found.claim(LEASE_SECONDS)
        if asked is None:
            return False
        try:
            async with self._leased(asked["id"]):
                report = await self.reconcile(asked["repair"])
            await self._found.ended(asked["id"], json.dumps(report.view()), None)
            log.info(
                "reconciled",
                agree=report.agree,
                objects=report.store.objects,
                orphans=report.left.objects,
                missing=report.kind(MISSING).objects,
            )
        except PermanentError as error:
            await self._found.ended(asked["id"], None, error.message)
            log.error("reconciliation_failed", code=error.code, reason=error.message)
        return True

    @contextlib.asynccontextmanager
    async def _leased(self, id_: str) -> AsyncIterator[None]:
        """It stays this process's for as long as it takes: comparing millions of files is one long statement."""

        async def renew() -> None:
            while True:
                await asyncio.sleep(LEASE_SECONDS / 3)
                with contextlib.suppress(TransientError):
                    await self._found.renew(id_, LEASE_SECONDS)

        renewing = asyncio.create_task(renew())
        try:
            yield
        finally:
            renewing.cancel()

    async def reconcile(self, repair: bool) -> Report:
        """Raises TransientError; PermanentError where the store refuses, or where what a repair would remove is doubtful."""
        with sorted_errors():
            async with self._pool.acquire(timeout=5) as connection:
                try:
                    return await self._reconcile(connection, repair)
                finally:
                    with contextlib.suppress(asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
                        await self._as_dispatcher(connection, self._queries.drop_seen)

    async def _reconcile(self, connection: Connection, repair: bool) -> Report:
        began = await connection.fetchval("SELECT clock_timestamp()")
        await self._list(connection)
        stale = self._clock() - self._uploads
        uploads = await self._threads.run(self._objects.count_stale, stale)
        async with connection.transaction(isolation="repeatable_read"):
            await self._enter(connection)
            report = await self._compare(connection, began, uploads)
            await self._tell(connection, began)
        if not repair:
            return report
        _check_repair(report, self._doubtful)
        removed = await self._remove(connection)
        await self._threads.run(self._objects.abort_stale, stale)
        return Report(report.store, report.tables, report.kinds, 0, removed, report.examples)

    async def _tell(self, connection: Connection, began: datetime) -> None:
        """Every export whose files are gone, in steps."""
        after = ""
        while harmed := await rows(self._queries.harmed(connection, began=began, after=after, count=TOLD_AT_ONCE)):
            for row in harmed:
                notice = files_missing(at=self._clock(), export_id=row["export_id"], names=row["names"])
                await self._feed.tell(connection, row["org_id"], notice)
            after = harmed[-1]["export_id"]

    async def _list(self, connection: Connection) -> None:
        await self._as_dispatcher(connection, self._queries.drop_seen)
        await self._as_dispatcher(connection, self._queries.create_seen)
        listed = iter(self._objects.list(""))
        while batch := await self._threads.run(_next, listed):
            async with connection.transaction():
                await connection.execute(f"SET LOCAL ROLE {DISPATCHER}")
                await connection.copy_records_to_table("seen", records=batch, columns=("key", "bytes", "at"))
        await self._as_dispatcher(connection, self._queries.create_index)
        await self._as_dispatcher(connection, self._queries.create_unclaimed)

    async def _compare(self, connection: Connection, began: datetime, uploads: int) -> Report:
        found = await rows(self._queries.compare(connection, began=began))
        kinds = {row["kind"]: Count(row["objects"], row["bytes"]) for row in found}
        store = await self._queries.totals(connection)
        tables = sum((kinds.get(name, Count()) for name in (MATCHED, *HARM)), Count())
        examples = {row["kind"]: row["examples"] for row in found if row["kind"] not in (MATCHED, UNDER_WAY)}
        return Report(Count(store["objects"], store["bytes"]), tables, kinds, uploads, Count(), examples)

    async def _remove(self, connection: Connection) -> Count:
        """In batches, each of what is nobody's still when it goes."""
        removed, after = Count(), ""
        while True:
            async with connection.transaction():
                await self._enter(connection)
                found = await rows(self._queries.orphans(connection, after=after, count=REMOVED_AT_ONCE))
            if not found:
                return removed
            await self._threads.run(self._objects.delete, [row["key"] for row in found])
            removed, after = removed + Count(len(found), sum(row["bytes"] for row in found)), found[-1]["key"]
            metrics.REMOVED.inc(len(found))

    async def _enter(self, connection: Connection) -> None:
        await connection.execute(f"SET LOCAL ROLE {DISPATCHER}")
        await self._queries.set_grace(connection, seconds=str(self._grace.total_seconds()))

    async def _as_dispatcher(self, connection: Connection, query: Any) -> None:
        async with connection.transaction():
            await self._enter(connection)
            await query(connection)

    async def _measure(self) -> None:
        """What the last one said, whoever did it: so that every process shows the same."""
        last = await self._found.last_ended()
        if last is None:
            return
        report = json.loads(last["report"])
        metrics.AT.set(last["ended_at"].timestamp())
        for kind in KINDS:
            metrics.OBJECTS.labels(kind).set(report[kind]["objects"])
            metrics.BYTES.labels(kind).set(report[kind]["bytes"])


def _next(listed: Iterator[ObjectInfo]) -> list[tuple[str, int, datetime]]:
    return [(info.key, info.bytes, info.modified) for info in islice(listed, LISTED_AT_ONCE)]


def _check_repair(report: Report, doubtful: int) -> None:
    """Raises PermanentError where most of what is there belongs to nobody: it may well be somebody's whom these tables don't know."""
    known = report.kind(MATCHED) + report.kind(UNDER_WAY)
    if report.left.objects > max(doubtful, known.objects):
        raise PermanentError(
            "repair_refused", f"{report.left.objects} objects would be removed, more than are known. Is this the bucket of this installation, and the database not an older copy? "
            "Nothing was removed.",
        )  # fmt: skip
