"""What is known to be at a destination, in PostgreSQL: whoever goes on after a crash begins from here."""

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime

import asyncpg

from services.delivery.destinations.store import Row, load, rows
from shared.consumer import persist
from shared.database import tenant
from shared.errors import TransientError
from shared.stopping import Stopping


class NotOurs(TransientError):
    """The delivery went to another process, or there is nothing to bring any more."""

    def __init__(self) -> None:
        super().__init__("The delivery is not this process's any more", "PostgreSQL")


class PostgresLedger:
    """Of one claim of one delivery: nothing is written by who has lost it. Calls raise TransientError."""

    def __init__(
        self, pool: asyncpg.Pool, org_id: str, delivery_id: str, claim: str, known: Mapping[str, Row], clock: Callable[[], datetime]
    ) -> None:
        self._pool, self._org_id, self._delivery_id, self._claim, self._clock = pool, org_id, delivery_id, claim, clock
        self._sent = {name for name, row in known.items() if row["sent_at"] is not None}
        self._notes = {name: row["note"] for name, row in known.items()}

    @classmethod
    async def open(cls, pool: asyncpg.Pool, org_id: str, delivery_id: str, claim: str, clock: Callable[[], datetime]) -> "PostgresLedger":
        async with tenant(pool, org_id, readonly=True) as connection:
            known = await rows(load().ledger(connection, delivery_id=delivery_id))
        return cls(pool, org_id, delivery_id, claim, {row["name"]: row for row in known}, clock)

    def is_sent(self, name: str) -> bool:
        return name in self._sent

    def note(self, name: str) -> str | None:
        return self._notes.get(name)

    async def keep(self, name: str, note: str) -> None:
        async with tenant(self._pool, self._org_id) as connection:
            if not await load().keep_note(connection, delivery_id=self._delivery_id, claim=self._claim, name=name, note=note):
                raise NotOurs
        self._notes[name] = note

    async def sent(self, name: str, place: str) -> None:
        """Tried for as long as it takes: what is there and not known to be would be brought again."""
        self._sent.add(name)

        ours = False

        async def write() -> None:
            nonlocal ours
            async with tenant(self._pool, self._org_id) as connection:
                ours = bool(
                    await load().keep_sent(
                        connection, delivery_id=self._delivery_id, claim=self._claim, name=name, place=place, now=self._clock()
                    )
                )

        # Of its own: an attempt that is called off, because PostgreSQL is away for longer than its lease, doesn't take this with it. Who has the claim by then decides.
        writing = asyncio.ensure_future(persist(write, delivery_id=self._delivery_id))
        writing.add_done_callback(lambda done: done.cancelled() or done.exception())  # looked at, so that nobody complains of it
        try:
            await asyncio.shield(writing)
        except Stopping:
            raise TransientError("The process ends", "PostgreSQL") from None
        if not ours:
            raise NotOurs
