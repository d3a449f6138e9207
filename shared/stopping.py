"""The end of a process, as its waits see it: whoever waits for a dependency, or for ever, stops waiting when the process is told to end.

A context variable and not an argument: tasks inherit it from the service that starts them, and code that runs without a service waits as long as it likes.
"""

import asyncio
import contextlib
from contextvars import ContextVar

_event: ContextVar[asyncio.Event | None] = ContextVar("stopping", default=None)


class Stopping(Exception):
    """The process is ending: what is in hand goes back, unacknowledged."""


def announce(event: asyncio.Event) -> None:
    """Tasks started from here on end their waits when `event` is set."""
    _event.set(event)


def is_stopping() -> bool:
    event = _event.get()
    return event is not None and event.is_set()


async def pause(seconds: float | None) -> None:
    """Wait so long; None: for ever. Raises Stopping as soon as the process is told to end."""
    event = _event.get() or asyncio.Event()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
    if event.is_set():
        raise Stopping
