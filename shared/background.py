"""Work that nobody waits for: it is done all the same, and what goes wrong in it stands in the log."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import structlog

from shared.errors import TransientError

log = structlog.get_logger()


class Background:
    """Made and used in one event loop. Errors of others end nothing: whoever wants one to end the process waits for the work itself."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()  # the loop alone would let them be collected in the middle

    def start(self, what: str, work: Coroutine[Any, Any, Any]) -> None:
        """`what` it is, for the log."""
        task = asyncio.create_task(work, name=what)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    async def finished(self) -> None:
        """Until all of it has ended by itself."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def end(self) -> None:
        """Whatever is still at it is cancelled."""
        for task in self._tasks:
            task.cancel()
        await self.finished()

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if task.cancelled():
            return
        match task.exception():
            case None:
                return
            case TransientError() as passing:
                log.warning("background_waits", work=task.get_name(), dependency=passing.dependency, reason=str(passing))
            case error:
                log.error("background_defect", work=task.get_name(), exc_info=error)
