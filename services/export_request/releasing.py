"""Sends planned chunks to the formatters, in turn over organisations and exports, with a cap on how many are under way."""

import asyncio
import contextlib
import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import asyncpg
import structlog

from services.export_request.assembly import parts_of, spec_of
from services.export_request.core.life import Released
from services.export_request.core.planning import Planned
from services.export_request.core.release import Waiting, choose, spread
from services.export_request.core.track import part_key
from services.export_request.effects import Effects, Row
from services.export_request.metrics import CHUNKS_RELEASED
from services.export_request.queries import load, rows
from services.export_request.settings import Settings
from shared.database import Connection, across_tenants
from shared.errors import TransientError
from shared.messages import FormatChunk
from shared.observability import span
from shared.outbox import Outbox, Outgoing, internal
from shared.topics import EXPORT_CHUNKS, EXPORT_CHUNKS_EXPRESS, all_topics

log = structlog.get_logger()
POLL_SECONDS = 1.0
# Whoever has an export's row in hand has it for milliseconds, and needn't tell of its end.
IN_HAND_SECONDS = 0.02
LANES = (True, False)  # whether it is the express one; in this order


@dataclass(frozen=True)
class _Filled:
    """Chunks that went out, and those that were due but belong to exports that someone else works on."""

    released: int = 0
    left: int = 0


class Releaser:
    """The loop, and the short way for an express export whose only chunk goes out with its plan."""

    def __init__(self, pool: asyncpg.Pool, outbox: Outbox, effects: Effects, settings: Settings, clock: Callable[[], datetime]) -> None:
        self._pool, self._outbox, self._effects, self._clock, self._queries = pool, outbox, effects, clock, load()
        self._caps = {True: settings.express_chunks_in_flight_max, False: settings.chunks_in_flight_max}
        self._topics = {True: EXPORT_CHUNKS_EXPRESS, False: EXPORT_CHUNKS}
        self._partitions = {express: all_topics()[topic].partitions for express, topic in self._topics.items()}
        self._wake = asyncio.Event()

    def wake(self) -> None:
        self._wake.set()

    async def run(self) -> None:
        while True:
            try:
                again = await self.release()
            except TransientError as error:
                log.warning("release_waits", reason=str(error))
                again = False
            if again:
                await asyncio.sleep(IN_HAND_SECONDS)
            else:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(POLL_SECONDS):  # wait_for of Python 3.11 can lose a cancellation
                        await self._wake.wait()
                self._wake.clear()

    async def release(self) -> bool:
        """Fill the free slots of both lanes; whether some of what could go out is left, as somebody else has its export in hand."""
        now, locks = self._clock(), [zlib.crc32(f"exports.release.{express}".encode()) for express in LANES]
        async with across_tenants(self._pool) as connection:
            await self._queries.lock_release(connection, express=locks[0], bulk=locks[1])
            in_flight = await self._in_flight(connection)
            filled = [await self._lane(connection, in_flight[express], express, now) for express in LANES]
        if any(lane.released for lane in filled):
            self._outbox.wake()
        return any(lane.left for lane in filled)

    async def release_express(self, connection: Connection, row: Row, chunk: Planned, now: datetime) -> list[Outgoing]:
        """Release the only chunk of an express export in the transaction of its plan, while the lane has room.

        The cap is soft here: no lock is taken, so that exports don't wait for each other.
        """
        in_flight = (await self._in_flight(connection))[True]
        if in_flight.total() >= self._caps[True]:
            return []
        partition = spread(in_flight, self._partitions[True], 1)[0]
        return await self._send(connection, row, [(chunk.number, chunk.lower, chunk.upper, chunk.rows)], [partition], now)

    async def _lane(self, connection: Connection, in_flight: Counter[int], express: bool, now: datetime) -> "_Filled":
        slots = self._caps[express] - in_flight.total()
        if slots <= 0:
            return _Filled()
        waiting = [_waiting(w) for w in await rows(self._queries.waiting(connection, express=express, slots=slots))]
        chosen = choose(waiting, slots)
        if not chosen:
            return _Filled()
        released = await self._release(connection, chosen, in_flight, express, now)
        return _Filled(released, len(chosen) - released)

    async def _in_flight(self, connection: Connection) -> dict[bool, Counter[int]]:
        """How many chunks are under way, by lane and partition."""
        found = await rows(self._queries.in_flight(connection))
        return {lane: Counter({each["partition"]: each["chunks"] for each in found if each["express"] is lane}) for lane in LANES}

    async def _release(self, connection: Connection, chosen: Sequence[str], in_flight: Counter[int], express: bool, now: datetime) -> int:
        """Send the chosen exports' next chunks; an export that someone else works on right now waits for the next round."""
        locked = {row["id"]: row for row in await rows(self._queries.lock_exports(connection, ids=list(dict.fromkeys(chosen))))}
        messages: list[Outgoing] = []
        released = 0
        for export_id, count in Counter(chosen).items():
            if (row := locked.get(export_id)) is None:
                continue
            chunks = await rows(self._queries.next_chunks(connection, export_id=export_id, count=count))
            partitions = spread(in_flight, self._partitions[express], len(chunks))
            in_flight.update(partitions)
            released += len(chunks)
            with span("release", {"traceparent": row["traceparent"]}):
                messages += await self._send(connection, row, [tuple(c) for c in chunks], partitions, now)
        if released:
            await self._queries.take_turn(connection, [{"org_id": o, "now": now} for o in sorted({r["org_id"] for r in locked.values()})])
            await self._outbox.add(connection, messages)
        return released

    async def _send(
        self, connection: Connection, row: Row, chunks: Sequence[tuple[Any, ...]], partitions: Sequence[int], now: datetime
    ) -> list[Outgoing]:
        """Mark chunks (number, lower, upper, rows) as released; returns the commands for them and the events that go with it."""
        outcome = await self._effects.apply(connection, row, Released(), now, released_at=now)
        if outcome is None or not chunks:
            return []
        marks = [{"export_id": row["id"], "number": c[0], "partition": p, "now": now} for c, p in zip(chunks, partitions, strict=True)]
        await self._queries.mark_released(connection, marks)
        CHUNKS_RELEASED.labels("express" if row["express"] else "bulk").inc(len(chunks))
        topic = self._topics[row["express"]]
        commands = [_command(row, topic, chunk, partition) for chunk, partition in zip(chunks, partitions, strict=True)]
        return [*outcome.messages, *commands]


def _command(row: Row, topic: str, chunk: Sequence[Any], partition: int) -> Outgoing:
    number, lower, upper, count = chunk
    keys = {name: part_key(row["id"], number, name) for name in parts_of(spec_of(row["spec"]))}
    command = FormatChunk(row["id"], row["org_id"], number, row["snapshot"], row["spec"], lower, upper, count, keys)
    return internal(topic, f"{row['id']}/{number}", command, partition=partition)


def _waiting(row: Row) -> Waiting:
    return Waiting(row["id"], row["org_id"], row["chunks"], row["created_at"], row["released_at"], row["served_at"])
