"""How many rows a list has in all, where counting them takes longer than a page should: a count is kept, and taken again behind the answers."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress

from services.ingest.core.lead_lists import Filter
from shared.errors import TransientError

FRESH_SECONDS = 5.0  # a younger count is as good as new
KEPT_SECONDS = 60.0  # an older one is waited for
KEPT_MAX = 1000


class Totals:
    """Counts of this process. An answer's total is at most KEPT_SECONDS old, and mostly FRESH_SECONDS and the time that counting takes."""

    def __init__(self, count: Callable[[str, Filter], Awaitable[int]]) -> None:
        self._count = count
        self._kept: dict[tuple[str, Filter], tuple[float, int]] = {}
        self._counting: dict[tuple[str, Filter], asyncio.Task[int]] = {}

    async def of(self, org_id: str, filter_: Filter) -> int:
        """Raises TransientError where it has to be counted and can't be."""
        key = (org_id, filter_)
        counted_at, total = self._kept.get(key, (float("-inf"), 0))
        age = time.monotonic() - counted_at
        if age <= FRESH_SECONDS:
            return total
        counting = self._counting.get(key) or self._begin(key)
        return total if age <= KEPT_SECONDS else await asyncio.shield(counting)

    def _begin(self, key: tuple[str, Filter]) -> asyncio.Task[int]:
        async def work() -> int:
            try:
                began = time.monotonic()
                total = await self._count(*key)
                self._kept.pop(key, None)
                self._kept[key] = began, total
                while len(self._kept) > KEPT_MAX:
                    del self._kept[next(iter(self._kept))]
                return total
            finally:
                del self._counting[key]

        task = self._counting[key] = asyncio.create_task(work())
        task.add_done_callback(_looked_at)
        return task


def _looked_at(task: asyncio.Task[int]) -> None:
    with suppress(TransientError, asyncio.CancelledError):
        task.result()
