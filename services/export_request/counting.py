"""The rows of a preview, found as the planner finds them in the time that there is: how many, how large, and which of their texts fit no cell."""

import json
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import asyncpg

from services.export_request.asking import New
from services.export_request.core import estimates, preview
from services.export_request.core.estimates import Chunk, Walked
from services.export_request.core.limits import Limits
from services.export_request.core.planning import WHOLE, ChunkLimits, Cursor
from services.export_request.core.preview import Problem
from services.export_request.planning import next_chunk, settled
from shared.database import Connection, savepoint, tenant
from shared.datasets import registry as datasets
from shared.datasets.plan import PlanSpec
from shared.datasets.sql import session_sql

WALK_SHARE = 0.25  # of the time, for counting
REST_SHARE = 0.1  # of the time, for counting without bytes what is left then
LIMIT = "SELECT set_config('statement_timeout', $1, true)"
STEP = ChunkLimits(10_000, 2**53)


@dataclass
class Look:
    """One preview being made."""

    org_id: str
    new: New
    spec: PlanSpec
    seconds: float  # that it may take
    until: float  # on the monotonic clock
    limits: Limits
    running: int
    rows_today: int
    problems: list[Problem] = field(default_factory=list)
    begin_seconds: float = 0.0  # that formatting hardly a row took

    @property
    def left(self) -> float:
        """Seconds; a moment at least, so that who is late hears of it from the one who is asked."""
        return max(0.05, self.until - time.monotonic())


@dataclass(frozen=True)
class Wanted:
    """The rows after a key, so many and so many bytes at most; `share`: how much of the bytes counted they stand for, 0 where they are behind them."""

    after: Sequence[str] | None
    rows: int
    bytes: int | None = None
    share: float = 1.0


class Counting:
    """Each answer is of a transaction of its own, of the organisation, under the preview's snapshot."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def walk(self, look: Look) -> Walked:
        """Count the rows as the planner does, as far as a share of the time goes, and look for texts that fit no cell."""
        enough = time.monotonic() + WALK_SHARE * look.seconds
        chunks: list[Chunk] = []
        complete = False
        limits = WHOLE if estimates.is_grouped(datasets.get(look.spec.dataset)) else STEP
        async with self._reading(look) as (connection, snapshot):
            cursor = Cursor(last_rows=1, last_bytes=1)  # rows alone bound a step
            while not complete:
                found, complete = await next_chunk(connection, look.spec, snapshot, cursor, limits, look.left + 1)
                if found["rows"]:
                    chunk = Chunk(cursor.after, list(found["last_key"]), found["rows"], found["bytes"], bool(found.get("long")))
                    chunks.append(chunk)
                    cursor = Cursor(after=list(chunk.upper), last_rows=1, last_bytes=1)
                complete = complete or not found["rows"]
                if not complete and time.monotonic() > enough:
                    break
            walked = Walked(tuple(chunks)) if complete else await self._rest(connection, look, snapshot, chunks)
            await self._find_long(connection, look, chunks)
        return walked

    async def _rest(self, connection: Connection, look: Look, snapshot: str, chunks: Sequence[Chunk]) -> Walked:
        """How many rows come behind: counted without their bytes, and PostgreSQL's guess where even that takes too long."""
        dataset, end = datasets.get(look.spec.dataset), chunks[-1].upper
        with suppress(asyncpg.QueryCanceledError):
            async with savepoint(connection, keep=False):
                await connection.execute(LIMIT, str(max(1, round(REST_SHARE * look.seconds * 1000))))
                rest = await connection.fetchval(dataset.count_query(look.spec, snapshot, end, None))
            return Walked(tuple(chunks), False, rest, guessed=False)
        guesses = []
        for lower, upper in ((None, end), (end, None)):
            query = dataset.relation(look.spec, snapshot, lower, upper).facts
            guesses.append(json.loads(await connection.fetchval(f"explain (format json) {query}"))[0]["Plan"]["Plan Rows"])
        return Walked(tuple(chunks), False, estimates.rest_of(sum(c.rows for c in chunks), *guesses), guessed=True)

    async def _find_long(self, connection: Connection, look: Look, chunks: Sequence[Chunk]) -> None:
        """The first text of each chunk that a format can't hold, by row and column."""
        before = 0
        for chunk in chunks:
            if chunk.long and look.left > look.seconds / 2:
                query = datasets.get(look.spec.dataset).too_long(look.spec, look.new.snapshot, chunk.lower, chunk.upper)
                if (place := await connection.fetchrow(query, timeout=look.left + 1)) is not None:
                    look.problems.append(preview.too_long_at(before + place["row"], place["header"]))
            before += chunk.rows

    async def bounds(self, look: Look, wanted: Wanted) -> list[Chunk]:
        """The chunk that is wanted, where there are rows."""
        async with self._reading(look) as (connection, snapshot):
            query = datasets.get(look.spec.dataset).plan_query(look.spec, snapshot, wanted.after, wanted.rows, wanted.bytes)
            row = await connection.fetchrow(query, timeout=look.left + 1)
        return [Chunk(wanted.after, list(row["last_key"]), row["rows"], row["bytes"])] if row["rows"] else []

    @asynccontextmanager
    async def _reading(self, look: Look) -> AsyncIterator[tuple[Connection, str]]:
        """A transaction that finds rows as the planner does, each statement as long as the preview has left, and the snapshot that it finds them by."""
        async with tenant(self._pool, look.org_id, "repeatable_read", readonly=True) as connection:
            await connection.execute(session_sql(look.org_id))
            await connection.execute(LIMIT, str(round(look.left * 1000)))
            yield connection, await settled(connection, look.spec, look.new.snapshot)
