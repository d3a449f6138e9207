"""Removes from the store what nobody needs any more."""

import asyncio
import contextlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import structlog

from services.delivery.core.sweeping import PARTS, due, export_of, ownerless
from services.delivery.metrics import SWEPT
from services.delivery.store import DeliveryStore, Discard
from services.delivery.threads import Threads
from shared.errors import PermanentError, TransientError
from shared.storage import ObjectStore

log = structlog.get_logger()
POLL_SECONDS = 5.0
STATUSES_MAX = 1000


def parts_prefix(export_id: str) -> str:
    return f"{PARTS}{export_id}/"


def files_prefix(org_id: str, export_id: str) -> str:
    return f"files/{org_id}/{export_id}/"


class Janitor:
    """`discard_loop` does what DiscardExport asked for; `sweep_loop` finds what zombies and crashes left behind."""

    def __init__(
        self, store: DeliveryStore, objects: ObjectStore, threads: Threads, sweep_seconds: float, upload_age_max: timedelta,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:  # fmt: skip
        self._store, self._objects, self._threads = store, objects, threads
        self._sweep_seconds, self._upload_age_max, self._now = sweep_seconds, upload_age_max, now
        self._asked = asyncio.Event()
        self._ownerless: frozenset[str] = frozenset()

    def discard_asked(self) -> None:
        self._asked.set()

    async def discard_loop(self) -> None:
        while True:
            try:
                if await self.discard_next():
                    continue
            except TransientError as error:
                log.warning("janitor_waits", dependency=error.dependency, reason=str(error))
                await asyncio.sleep(POLL_SECONDS)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(POLL_SECONDS):
                    await self._asked.wait()
            self._asked.clear()

    async def discard_next(self) -> bool:
        """Remove what one export is to lose; False where there is none."""
        return await self._store.discard_next(self._remove)

    async def _remove(self, discard: Discard) -> bool:
        prefixes = [parts_prefix(discard.export_id)]
        if discard.files:
            prefixes.append(files_prefix(discard.org_id, discard.export_id))
        try:
            for prefix in prefixes:
                await self._threads.run(self._objects.delete_prefix, prefix)
        except PermanentError as error:
            log.error("discard_refused", export_id=discard.export_id, code=error.code, reason=error.message)
            return False
        return True

    async def sweep_loop(self) -> None:
        while True:
            try:
                await self.sweep()
            except (TransientError, PermanentError) as error:
                log.warning("sweep_failed", reason=str(error))
            await asyncio.sleep(self._sweep_seconds)

    async def sweep(self) -> int:
        """One round; returns how many parts were removed."""
        known = await self._threads.run(self._exports_with_parts)
        statuses: dict[str, str] = {}
        for first in range(0, len(known), STATUSES_MAX):
            statuses |= await self._store.statuses(known[first : first + STATUSES_MAX])
        found = ownerless(known, statuses)
        swept = 0
        for export_id in due(found, self._ownerless):
            swept += await self._threads.run(self._objects.delete_prefix, parts_prefix(export_id))
        self._ownerless = found
        await self._threads.run(self._objects.abort_stale, self._now() - self._upload_age_max)
        await self._store.forget_discarded(self._remove)
        await self._store.prune()
        SWEPT.inc(swept)
        return swept

    def _exports_with_parts(self) -> list[str]:
        found = (export_of(info.key) for info in self._objects.list(PARTS))
        return sorted({export_id for export_id in found if export_id})
