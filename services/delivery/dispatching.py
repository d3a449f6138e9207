"""What dispatchers have in common: what is due is claimed and worked on, a task for each claim; on the way out what didn't end is handed back."""

import asyncio
import contextlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Generic, TypeVar

import structlog

from shared.errors import TransientError
from shared.stopping import Stopping

log = structlog.get_logger()
POLL_SECONDS = 1.0
STOP_SECONDS, HAND_BACK_SECONDS = 4.0, 2.0
Claim = TypeVar("Claim")


class Dispatching(ABC, Generic[Claim]):
    """`run` goes on for ever; several processes may run. A defect in what it runs ends it, and the process with it."""

    waits = "dispatching_waits"  # logged where claiming has to wait

    def __init__(self) -> None:
        self._tasks: dict[asyncio.Task[None], Claim] = {}
        self._wake = asyncio.Event()
        self._failure: BaseException | None = None

    def wake(self) -> None:
        """Something may be due. Without this it is found by looking once a second."""
        self._wake.set()

    def wake_in(self, seconds: float) -> None:
        if seconds < POLL_SECONDS:
            asyncio.get_running_loop().call_later(max(0.0, seconds), self.wake)

    async def run(self) -> None:
        beside = asyncio.create_task(self._beside())
        beside.add_done_callback(self._failed)
        try:
            while self._failure is None:
                self._wake.clear()
                await self._take()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(POLL_SECONDS):
                        await self._wake.wait()
            raise self._failure
        finally:
            await self._let_go()
            beside.cancel()

    async def _take(self) -> None:
        try:
            claims = await self._claim()
        except TransientError as error:
            log.warning(self.waits, dependency=error.dependency, reason=str(error))
            return
        for claim in claims:
            task = asyncio.create_task(self._work(claim))
            self._tasks[task] = claim
            task.add_done_callback(self._ended)
        self._measure()

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.pop(task)
        self._failed(task)
        self._measure()

    def _failed(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and task.exception():
            self._failure = task.exception()
            self._wake.set()

    async def _let_go(self) -> None:
        """On the way out: what is under way may end, what doesn't is handed back, so that another process goes on at once."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=STOP_SECONDS)
        left = dict(self._tasks)
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        with contextlib.suppress(TransientError, TimeoutError, Stopping):  # leases run out by themselves
            async with asyncio.timeout(HAND_BACK_SECONDS):
                await self._hand_back(list(left.values()))

    @abstractmethod
    async def _claim(self) -> Sequence[Claim]:
        """What is due, for as much as there is room. Raises TransientError."""

    @abstractmethod
    async def _work(self, claim: Claim) -> None:
        """Until what came of it is known."""

    @abstractmethod
    async def _beside(self) -> None:
        """What goes on beside the work: it doesn't end before it is cancelled, unless the process does."""

    @abstractmethod
    async def _hand_back(self, claims: Sequence[Claim]) -> None:
        """Claims that didn't end. Raises TransientError, Stopping."""

    @abstractmethod
    def _measure(self) -> None:
        """How much is under way is another now."""
