"""Entries for the audit trail from many sessions at once: while one transaction runs, the next ones gather, so a crowd costs no more than a few."""

import asyncio

from shared.outbox import Outbox, Outgoing


class Notes:
    """Each caller waits for its own entry to be kept, and hears when it couldn't be."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self._waiting: list[tuple[Outgoing, asyncio.Future[None]]] = []
        self._task: asyncio.Task[None] | None = None

    async def keep(self, entry: Outgoing) -> None:
        """Raises TransientError where PostgreSQL is away."""
        kept: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((entry, kept))
        if self._task is None:
            self._task = asyncio.create_task(self._keep_all())
        await kept

    async def _keep_all(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting, []
                try:
                    await self._outbox.publish([entry for entry, _ in batch])
                except Exception as error:
                    for _, kept in batch:
                        if not kept.done():
                            kept.set_exception(error)
                else:
                    for _, kept in batch:
                        if not kept.done():
                            kept.set_result(None)
        finally:
            self._task = None
