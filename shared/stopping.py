"""The end of a process, as its waits see it: whoever waits for a dependency, or for ever, stops waiting when the process is told to end.

A context variable and not an argument: tasks inherit it from the service that starts them, and code that runs without a service waits as long as it likes.
"""

import asyncio
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


async def pause(seconds: float | None, news: asyncio.Event | None = None) -> None:
    """Wait so long (None: for ever), or until there is `news`. Raises Stopping as soon as the process is told to end."""
    stopping = _event.get() or asyncio.Event()
    waits = [asyncio.ensure_future(event.wait()) for event in (stopping, news) if event is not None]
    try:
        await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
    if stopping.is_set():
        raise Stopping
