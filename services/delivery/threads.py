"""Blocking work off the event loop, on a bounded pool."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from shared.priority import step_back

T = TypeVar("T")


class Threads:
    """A pool of threads of its own, so that one kind of work can't take another's; `bulk` work leaves the processor to others."""

    def __init__(self, count: int, name: str, bulk: bool = False) -> None:
        self.count = count
        self._pool = ThreadPoolExecutor(count, thread_name_prefix=name, initializer=step_back if bulk else None)

    async def run(self, work: Callable[..., T], *args: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._pool, work, *args)

    def start(self, work: Callable[[], object]) -> None:
        """Have it done; nobody waits for it."""
        self._pool.submit(work)

    async def close(self) -> None:
        await asyncio.to_thread(self._pool.shutdown)
