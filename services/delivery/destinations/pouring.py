"""Writes to one file of an SFTP server: several at once, in flat memory."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from typing import Any

from services.delivery.core.destinations.resuming import WINDOW_BYTES, pieces

WRITE_BYTES_DEFAULT, WRITE_BYTES_MAX = 32 << 10, 256 << 10  # every server takes the first; more where it says so


async def pour(target: Any, source: AsyncIterator[bytes], start: int, piece_max: int, silence_seconds: float) -> int:
    """Write what comes from byte `start` on, and answer where the file ends once all of it is confirmed. Raises TimeoutError where no write is confirmed
    for so long, and what the writes raise."""
    under_way: deque[tuple[asyncio.Task[Any], int]] = deque()
    waiting, at = 0, start

    async def confirmed() -> int:
        task, length = under_way[0]
        async with asyncio.timeout(silence_seconds):
            await task
        under_way.popleft()
        return length

    try:
        async for piece in source:
            for begin, end in pieces(len(piece), piece_max):
                while under_way and waiting + end - begin > WINDOW_BYTES:
                    waiting -= await confirmed()
                under_way.append((asyncio.create_task(target.write(piece[begin:end], at)), end - begin))
                waiting, at = waiting + end - begin, at + end - begin
        while under_way:
            await confirmed()
        return at
    finally:
        left = [task for task, _ in under_way]
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)


def piece_max_of(limit: int) -> int:
    """How long a write may be. `limit`: what the server says itself; 0: nothing."""
    return min(limit, WRITE_BYTES_MAX) if limit > WRITE_BYTES_DEFAULT else WRITE_BYTES_DEFAULT
