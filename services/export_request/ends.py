"""Who waits for an export's end hears of it at once: PostgreSQL tells every process when the transaction commits that ended it, whichever process that was."""

import asyncio
import contextlib
from collections.abc import Iterator
from typing import Any

import asyncpg
import structlog

from shared.database import sorted_errors
from shared.errors import TransientError

log = structlog.get_logger()
CHANNEL = "waybill_export_ended"
ALIVE_SECONDS = 10.0  # how often the connection is asked whether it is still one
AGAIN_SECONDS = 1.0


class Ends:
    """`run` listens, on a connection of its own. While there is none nobody is told anything: who waits has to look by itself too."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool
        self._waiting: dict[str, set[asyncio.Event]] = {}

    @contextlib.contextmanager
    def of(self, export_id: str) -> Iterator[asyncio.Event]:
        """Set when the export may have ended: look, and clear it before. Look once after entering, too."""
        event = asyncio.Event()
        self._waiting.setdefault(export_id, set()).add(event)
        try:
            yield event
        finally:
            self._waiting[export_id].discard(event)
            if not self._waiting[export_id]:
                del self._waiting[export_id]

    def awaited(self, export_id: str) -> bool:
        return export_id in self._waiting

    async def run(self) -> None:
        """Listen for ever."""
        while True:
            try:
                with sorted_errors():
                    await self._listen()
            except TransientError as error:
                log.warning("ends_unheard", reason=str(error))
            await asyncio.sleep(AGAIN_SECONDS)

    async def _listen(self) -> None:
        """Until the connection is lost."""
        lost = asyncio.Event()
        async with self._pool.acquire(timeout=5) as connection:
            try:
                connection.add_termination_listener(lambda _: lost.set())
                await connection.add_listener(CHANNEL, self._heard)
                self._look_all()  # what ended before was told to nobody
                while not lost.is_set():
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(ALIVE_SECONDS):
                            await lost.wait()
                    await connection.execute("SELECT 1", timeout=2)
            finally:
                connection.terminate()  # nobody else is to have one that listens

    def _heard(self, _connection: Any, _pid: int, _channel: str, export_id: str) -> None:
        for event in self._waiting.get(export_id, ()):
            event.set()

    def _look_all(self) -> None:
        for events in self._waiting.values():
            for event in events:
                event.set()
