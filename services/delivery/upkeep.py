"""What a queue needs now and then: it is looked at often, and tidied once an hour."""

import asyncio
import time
from collections.abc import Awaitable, Callable

import structlog

from shared.errors import TransientError

log = structlog.get_logger()
LOOK_SECONDS = 10.0
TIDY_SECONDS = 3600.0


async def keep_up(look: Callable[[], Awaitable[object]], tidy: Callable[[], Awaitable[object]], waits: str) -> None:
    """A loop that several processes may run at once. `waits` is logged where a dependency is away."""
    tidied = -TIDY_SECONDS
    while True:
        try:
            await look()
            if time.monotonic() - tidied > TIDY_SECONDS:
                await tidy()
                tidied = time.monotonic()
        except TransientError as error:
            log.warning(waits, dependency=error.dependency, reason=str(error))
        await asyncio.sleep(LOOK_SECONDS)
