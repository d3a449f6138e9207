"""A walk's next page is made while the one before is sent: PostgreSQL and the way to the walker work side by side."""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from typing import Any

from services.export_request.core.walk import Walk
from shared.errors import ApiError, TransientError

AHEAD_MAX = 4  # pages of a process; with more walkers some wait for theirs, and memory stays bounded (a page is about 8 MiB at most)
AHEAD_SECONDS = 5.0  # until a page that nobody asked for is thrown away
HANDED_MAX = 1_000  # cursors that are remembered


@dataclass(frozen=True)
class Asked:
    """Which page: `limit` rows at most of an organisation's endpoint, from where the walk is."""

    org_id: str
    endpoint: str
    walk: Walk
    limit: int


@dataclass(frozen=True)
class Page:
    """`data`: the rows' JSON objects, separated by commas. `next`: null where the walk is at its end."""

    data: bytes
    next: Walk | None


class Ahead:
    """Pages made ahead by one process. Only for a walker who comes back to it: where requests go to several processes in turn, none makes what another is asked for."""

    def __init__(self, read: Callable[[Asked], Coroutine[Any, Any, Page]]) -> None:
        self._read = read
        self._made: dict[Asked, asyncio.Task[Page | None]] = {}
        self._handed: dict[Asked, None] = {}  # what this process gave cursors for, oldest first

    @property
    def held(self) -> int:
        """Pages that are made or being made."""
        return len(self._made)

    async def take(self, asked: Asked) -> Page | None:
        """The page, where it was made ahead; it may be seconds old."""
        task = self._made.pop(asked, None)
        return await task if task is not None else None

    def follow(self, asked: Asked, page: Page) -> None:
        """`page` is about to be given for `asked`."""
        came_back = asked in self._handed
        self._handed.pop(asked, None)
        if page.next is None:
            return
        following = replace(asked, walk=page.next)
        self._handed[following] = None
        if len(self._handed) > HANDED_MAX:
            del self._handed[next(iter(self._handed))]
        if came_back and following not in self._made and len(self._made) < AHEAD_MAX:
            self._made[following] = asyncio.create_task(self._make(following))
            asyncio.get_running_loop().call_later(AHEAD_SECONDS, self._throw_away, following, self._made[following])

    async def _make(self, asked: Asked) -> Page | None:
        """None where it can't be made: whoever asks hears why."""
        with contextlib.suppress(ApiError, TransientError):
            return await self._read(asked)
        return None

    def _throw_away(self, asked: Asked, task: asyncio.Task[Page | None]) -> None:
        if self._made.get(asked) is task:
            del self._made[asked]
            task.cancel()
