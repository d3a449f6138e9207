"""What time alone brings about: completed exports expire, stalled ones fail, those that hold an erased person end, old claims and keys are forgotten."""

import asyncio
import json
import time
from collections.abc import Callable
from datetime import datetime, timedelta

import asyncpg
import structlog

from services.export_request.core.life import Expired, Failed, Happening, Lapsed, Status, Told
from services.export_request.effects import Effects, Row
from services.export_request.queries import load, rows
from services.export_request.schedules.queries import load as load_schedules
from services.export_request.settings import Settings
from shared.database import Connection, across_tenants
from shared.errors import TransientError
from shared.inbox import Inbox
from shared.observability import span
from shared.outbox import Outbox

log = structlog.get_logger()
PRUNE_SECONDS = 3600.0
FORGOTTEN_AT_ONCE = 500  # exports of a transaction
ERASURE_SECONDS = 600.0  # longer than an erasure's transaction and one that accepts an export can last, one after the other


class Sweeper:
    """A loop that several processes may run at once."""

    def __init__(
        self, pool: asyncpg.Pool, inbox: Inbox, outbox: Outbox, effects: Effects, settings: Settings, clock: Callable[[], datetime]
    ) -> None:
        self._pool, self._inbox, self._outbox, self._effects, self._clock = pool, inbox, outbox, effects, clock
        self._settings, self._queries = settings, load()

    async def run(self) -> None:
        pruned = time.monotonic()
        while True:
            try:
                await self.sweep()
                if time.monotonic() - pruned > PRUNE_SECONDS:
                    await self.prune()
                    pruned = time.monotonic()
            except TransientError as error:
                log.warning("sweep_waits", reason=str(error))
            await asyncio.sleep(self._settings.sweep_seconds)

    async def sweep(self) -> None:
        """Expire what is due, recall what may hold an erased person, end what nobody approves, and what was heard nothing of for too long."""
        now = self._clock()
        async with across_tenants(self._pool) as connection:
            for row in await rows(self._queries.to_expire(connection, now=now)):
                await self._apply(connection, row, Expired(), now)
            await self._recall(connection, now)
            wait = timedelta(seconds=self._settings.approval_wait_seconds)
            for row in await rows(self._queries.to_lapse(connection, since=now - wait)):
                await self._apply(connection, row, Lapsed(round(wait / timedelta(days=1), 2)), now)
            silent = timedelta(seconds=self._settings.stalled_seconds)
            for row in await rows(self._queries.stalled(connection, before=now - silent)):
                log.error("stalled", export_id=row["id"], status=row["status"])
                stalled = Failed("stalled", f"Nothing was heard of this export for {int(silent.total_seconds())} seconds.")
                await self._apply(connection, row, stalled, now)

    async def _recall(self, connection: Connection, now: datetime) -> None:
        """End what may hold an erased person, delete its files, tell subscribers, and list it with the erasure. What is held is listed, and ended once it is released."""
        for row in await rows(self._queries.to_recall(connection)):
            held = row["hold_at"] is not None
            log.info("recall_waits_for_hold" if held else "recalled", export_id=row["id"], status=row["status"])
            if not held:
                erased = Failed("erased", "A person was erased whom this export could hold. Ask for a new one.")
                await self._apply(connection, row, Expired() if row["status"] == Status.completed else erased, now, Told.recalled)
            files = [file["name"] for file in json.loads(row["files"])]
            await self._queries.add_recalls(
                connection,
                org_id=row["org_id"],
                erasures=row["erasures"],
                export_id=row["id"],
                ended_as=row["status"],
                files=json.dumps(files),
                now=None if held else now,
            )
        for row in await rows(self._queries.to_recall_released(connection)):
            log.info("recalled", export_id=row["id"], status=row["status"])
            await self._apply(connection, row, Expired(), now, Told.recalled)
            await self._queries.recalled(connection, export_id=row["id"], now=now)
        await self._queries.watched_no_longer(connection, seconds=ERASURE_SECONDS)

    async def _apply(self, connection: Connection, row: Row, happening: Happening, now: datetime, *told: Told) -> None:
        """`told`: events beside those of the step itself."""
        with span("sweep", {"traceparent": row["traceparent"]}):
            outcome = await self._effects.apply(connection, row, happening, now)
            if outcome is not None:
                await self._outbox.add(connection, [*outcome.messages, *(self._effects.event(t, outcome.row, now) for t in told)])
        self._outbox.wake()

    async def prune(self) -> None:
        """What nobody asks for any more."""
        before = self._clock() - timedelta(days=self._settings.export_keep_days)
        forgotten = FORGOTTEN_AT_ONCE
        while forgotten == FORGOTTEN_AT_ONCE:
            async with across_tenants(self._pool) as connection:
                forgotten = await self._queries.forget_exports(connection, before=before, count=FORGOTTEN_AT_ONCE)
        async with across_tenants(self._pool) as connection:
            await self._queries.forget_recalls(connection, before=before)
            await self._queries.forget_usage(connection, before=before.date())
            await self._inbox.prune(connection)
            await self._queries.prune_keys(connection)
            await load_schedules().prune_runs(connection, before=before)
