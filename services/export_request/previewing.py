"""Previews: what an export would hold, how large it would be and what would break, without one. The rows go through the encoders of the export itself.

Everything is read under one snapshot and bounded in time: `preview_seconds` for all, and PostgreSQL ends a statement that takes longer. What can't be counted
in time is extrapolated, and said to be. Nothing is left behind but a line of the audit trail.
"""

import asyncio
import json
import time
import zlib
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import Any, TypeVar

import asyncpg

from services.export_request.asking import New, Request
from services.export_request.assembly import spec_of
from services.export_request.core import estimates, preview
from services.export_request.core.estimates import Chunk, Sample, Walked, is_grouped
from services.export_request.core.limits import Limits, limits_of
from services.export_request.core.planning import ChunkLimits, Cursor
from services.export_request.core.preview import Preview, Problem
from services.export_request.frames import frame_of
from services.export_request.intake import Intake
from services.export_request.metrics import PREVIEW_SECONDS
from services.export_request.planning import next_chunk
from services.export_request.queries import load
from services.export_request.settings import Settings
from shared import audit
from shared.database import Connection, for_libpq, tenant
from shared.datasets import registry as datasets
from shared.datasets.plan import PlanSpec
from shared.datasets.sql import session_sql
from shared.errors import ApiError, Detail, PermanentError, unprocessable
from shared.formats import registry as formats
from shared.formatting.engine import FormatEngine
from shared.formatting.parts import Table
from shared.http import Principal
from shared.outbox import Outbox

ENGINES = 2  # previews at once; the next one waits for its turn
SHOWN_BYTES_MAX = 4 << 20  # of the rows shown, about; one row always is
WALK_SHARE = 0.25  # of the time, for counting
STEP = ChunkLimits(10_000, 2**53)
SAMPLE_ROWS, SAMPLE_BYTES = 3_000, 2 << 20
WORKBOOK_ROWS, WORKBOOK_SAMPLE_ROWS = 1_000, 400
GROUPS_ROWS = 50_000
ALL_ROWS, ALL_BYTES = 5_000, 4 << 20  # an export below is formatted whole

T = TypeVar("T")


@dataclass
class _Counted:
    """A sink that keeps how many bytes came, deflated where a file would be a ZIP."""

    deflater: Any = None
    size: int = 0

    def write(self, data: bytes | memoryview, /) -> None:
        self.size += len(self.deflater.compress(data) if self.deflater else data)

    def end(self) -> int:
        return self.size + (len(self.deflater.flush()) if self.deflater else 0)


@dataclass
class _Look:
    """One preview being made."""

    org_id: str
    new: New
    spec: PlanSpec
    until: float
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
class _Wanted:
    """The rows after a key, so many and so many bytes at most; `share`: how much of the bytes counted they stand for, 0 where they are behind them."""

    after: Sequence[str] | None
    rows: int
    bytes: int | None = None
    share: float = 1.0


class Previews:
    """Makes previews on engines of its own, `ENGINES` at once."""

    def __init__(
        self, pool: asyncpg.Pool, intake: Intake, outbox: Outbox, settings: Settings, limits: Limits, clock: Callable[[], datetime]
    ) -> None:
        self._pool, self._intake, self._outbox, self._settings, self._limits, self._clock = pool, intake, outbox, settings, limits, clock
        self._queries = load()
        self._threads = ThreadPoolExecutor(ENGINES, thread_name_prefix="preview")
        self._free: asyncio.Queue[FormatEngine] = asyncio.Queue()
        self._engines = [self._engine() for _ in range(ENGINES)]
        for engine in self._engines:
            self._free.put_nowait(engine)

    def _engine(self) -> FormatEngine:
        return FormatEngine(
            for_libpq(self._settings.export_request_database_url), self._settings.preview_memory_mb, self._settings.pseudonym_secret,
            statement_seconds=self._settings.preview_seconds, any_length=True,
        )  # fmt: skip

    async def close(self) -> None:
        """End what is under way, and the engines."""
        for engine in self._engines:
            await engine.interrupt()
        self._threads.shutdown()
        for engine in self._engines:
            engine.close()

    async def preview(self, by: Principal, body: Any) -> dict[str, Any]:
        """As the contract shows it. Raises ApiError: as for an export; 422 where the rows can't be found in time; 503 where too many previews are being made."""
        with PREVIEW_SECONDS.time():
            look = await self._look(by, body)
            walked = await self._within(look, self._walk(look))
            engine = await self._turn(look)
            try:
                tables, samples = await self._within(look, self._formatted(look, walked, engine))
            finally:
                self._free.put_nowait(engine)
            made = self._made(look, walked, tables, samples)
            await self._note(by, look, made)
        return made.view

    async def _look(self, by: Principal, body: Any) -> _Look:
        until = time.monotonic() + self._settings.preview_seconds
        request = Request(by.org_id, body, None, f"key:{by.key_id}", by=by)
        async with tenant(self._pool, by.org_id, readonly=True) as connection:
            new = await self._intake.previewed(connection, request)
            limits = limits_of(await self._queries.organisation(connection), self._limits)
            used = await self._queries.used(connection, org_id=by.org_id, today=self._clock().date())
        look = _Look(by.org_id, new, spec_of(new.spec), until, limits, used["running"], used["rows"])
        look.problems += [Problem(f"{d.field} {d.message}") for d in new.lacks]
        return look

    # ---- counting

    async def _walk(self, look: _Look) -> Walked:
        """Count the rows as the planner does, as far as a share of the time goes, and look for texts that fit no cell."""
        enough = time.monotonic() + WALK_SHARE * self._settings.preview_seconds
        chunks: list[Chunk] = []
        complete = False
        async with self._reading(look) as connection:
            cursor = Cursor(last_rows=1, last_bytes=1)  # rows alone bound a step
            while not complete:
                found, complete = await next_chunk(connection, look.spec, look.new.snapshot, cursor, STEP, look.left + 1)
                if found["rows"]:
                    chunk = Chunk(cursor.after, list(found["last_key"]), found["rows"], found["bytes"], bool(found.get("long")))
                    chunks.append(chunk)
                    cursor = Cursor(after=list(chunk.upper), last_rows=1, last_bytes=1)
                complete = complete or not found["rows"]
                if not complete and time.monotonic() > enough:
                    break
            rest = 0 if complete else await self._rest(connection, look, chunks)
            await self._find_long(connection, look, chunks)
        return Walked(tuple(chunks), complete, rest)

    async def _rest(self, connection: Connection, look: _Look, chunks: Sequence[Chunk]) -> int:
        dataset, end = datasets.get(look.spec.dataset), chunks[-1].upper
        guesses = []
        for lower, upper in ((None, end), (end, None)):
            query = dataset.relation(look.spec, look.new.snapshot, lower, upper).facts
            guesses.append(json.loads(await connection.fetchval(f"explain (format json) {query}"))[0]["Plan"]["Plan Rows"])
        return estimates.rest_of(sum(c.rows for c in chunks), *guesses)

    async def _find_long(self, connection: Connection, look: _Look, chunks: Sequence[Chunk]) -> None:
        """The first text of each chunk that a format can't hold, by row and column."""
        before = 0
        for chunk in chunks:
            if chunk.long and look.left > self._settings.preview_seconds / 2:
                query = datasets.get(look.spec.dataset).too_long(look.spec, look.new.snapshot, chunk.lower, chunk.upper)
                if (place := await connection.fetchrow(query, timeout=look.left + 1)) is not None:
                    look.problems.append(preview.too_long_at(before + place["row"], place["header"]))
            before += chunk.rows

    async def _bounds(self, look: _Look, wanted: _Wanted) -> list[Chunk]:
        """The chunk that is wanted, where there are rows."""
        async with self._reading(look) as connection:
            query = datasets.get(look.spec.dataset).plan_query(look.spec, look.new.snapshot, wanted.after, wanted.rows, wanted.bytes)
            row = await connection.fetchrow(query, timeout=look.left + 1)
        return [Chunk(wanted.after, list(row["last_key"]), row["rows"], row["bytes"])] if row["rows"] else []

    @asynccontextmanager
    async def _reading(self, look: _Look) -> AsyncIterator[Connection]:
        """A transaction that finds rows as the planner does, each statement as long as the preview has left."""
        async with tenant(self._pool, look.org_id, readonly=True) as connection:
            await connection.execute(session_sql(look.org_id))
            await connection.execute("SELECT set_config('statement_timeout', $1, true)", str(round(look.left * 1000)))
            yield connection

    # ---- formatting

    async def _formatted(self, look: _Look, walked: Walked, engine: FormatEngine) -> tuple[list[Table], list[Sample]]:
        """The first rows, and samples of the others' size. What the rows themselves make impossible is a problem, and not the end."""
        found = await self._bounds(look, _Wanted(None, preview.ROWS_SHOWN, SHOWN_BYTES_MAX)) if walked.chunks else []
        if not found:  # nothing, or an erasure has taken what was counted
            return await self._on(engine, engine.show_chunk, look, None, None, look.spec.formats[0]), []
        first = found[0]
        try:
            began = time.monotonic()
            tables = await self._on(engine, engine.show_chunk, look, None, first.upper, look.spec.formats[0])
            look.begin_seconds = time.monotonic() - began
            await self._check(engine, look, first, tables)
            return tables, await self._samples(engine, look, walked)
        except PermanentError as error:
            if error.code == "too_slow":
                raise
            look.problems.append(Problem(error.message))
            return [], []

    async def _samples(self, engine: FormatEngine, look: _Look, walked: Walked) -> list[Sample]:
        """As many as there is time for, one at least."""
        weighed: dict[tuple[str, ...], Sample] = {}
        try:
            async for wanted in self._wanted(look, walked):
                if weighed and look.left < self._settings.preview_seconds / 3:
                    break
                key = (*(wanted.after or ()), str(wanted.share > 0))
                if key in weighed:  # one row holds several places
                    weighed[key] = replace(weighed[key], share=weighed[key].share + wanted.share)
                    continue
                for chunk in await self._bounds(look, wanted):
                    weighed[key] = await self._sample(engine, look, chunk, wanted.share)
        except asyncpg.QueryCanceledError:
            if not weighed:
                raise
        except PermanentError as error:
            if error.code != "too_slow" or not weighed:
                raise
        return list(weighed.values())

    async def _wanted(self, look: _Look, walked: Walked) -> AsyncIterator[_Wanted]:
        """What to format for its size: all of it where that is little, else samples."""
        dataset = datasets.get(look.spec.dataset)
        if is_grouped(dataset):  # finding some of its rows costs as much as finding all
            yield _Wanted(None, GROUPS_ROWS)
            return
        most = WORKBOOK_ROWS if dataset.whole else ALL_ROWS
        if walked.complete and walked.rows <= most and walked.bytes <= ALL_BYTES:
            yield _Wanted(None, most)
            return
        rows, found = WORKBOOK_SAMPLE_ROWS if dataset.whole else SAMPLE_ROWS, estimates.places(walked.chunks)
        for at, offset in found[::2] + found[1::2]:  # who runs out of time has seen all of the range
            yield _Wanted(await self._place(look, walked.chunks[at], offset), rows, SAMPLE_BYTES, 1 / len(found))
        for key in estimates.beyond(look.spec, walked, self._clock()):
            yield _Wanted(key, rows, SAMPLE_BYTES, 0)

    async def _place(self, look: _Look, chunk: Chunk, offset: int) -> Sequence[str] | None:
        """The key behind which the row stands that is so many bytes behind the start of a chunk."""
        if not offset:
            return chunk.lower
        before = await self._bounds(look, _Wanted(chunk.lower, chunk.rows, offset))
        return before[0].upper if before and before[0].bytes <= offset else chunk.lower

    async def _check(self, engine: FormatEngine, look: _Look, first: Chunk, tables: Sequence[Table]) -> None:
        """Texts among the first rows that are longer than a cell takes: also those that only an encoder sees."""
        longest = max((len(text) for table in tables for row in table.rows for text in row), default=0)
        for name in look.spec.formats:
            if (most := formats.get(name).cell_units_max) is not None:
                if is_grouped(datasets.get(look.spec.dataset)) and longest <= most // 2:
                    continue  # its texts are the same in every format, and finding them again is dear
                shown = tables if name == look.spec.formats[0] else await self._on(engine, engine.show_chunk, look, None, first.upper, name)
                look.problems += preview.too_long(shown, most)

    async def _sample(self, engine: FormatEngine, look: _Look, chunk: Chunk, share: float) -> Sample:
        zipped = look.new.protected
        sinks = {
            name: _Counted(zlib.compressobj(1, zlib.DEFLATED, -15) if zipped and not formats.get(name).encrypts_itself else None)
            for name in look.spec.formats
        }
        started = time.monotonic()
        results = await self._on(engine, engine.format_chunk, look, chunk.lower, chunk.upper, sinks)
        parts = {name: (sinks[name].end(), result.note) for name, result in results.items()}
        return Sample(chunk.rows, chunk.bytes, time.monotonic() - started, parts, next(iter(results.values())).rows, share)

    async def _on(self, engine: FormatEngine, method: Callable[..., T], look: _Look, lower: Any, upper: Any, what: Any) -> T:
        """A call of the engine, which blocks, in a thread."""
        engine.statement_seconds = look.left
        call = partial(method, look.spec, look.org_id, look.new.snapshot, lower, upper, what)
        return await asyncio.get_running_loop().run_in_executor(self._threads, call)

    # ---- time

    async def _turn(self, look: _Look) -> FormatEngine:
        try:
            async with asyncio.timeout(look.left / 2):
                return await self._free.get()
        except TimeoutError:
            raise ApiError(
                503, "unavailable", "Too many previews are being made at this moment; try again.", headers={"Retry-After": "2"}
            ) from None

    async def _within(self, look: _Look, work: Any) -> Any:
        """What `work` gives. Raises ApiError 422 where PostgreSQL takes longer than it may."""
        try:
            return await work
        except asyncpg.QueryCanceledError:
            pass
        except PermanentError as error:
            if error.code != "too_slow":
                raise
        seconds = round(self._settings.preview_seconds, 1)
        message = f"The first rows weren't found within {seconds:g} seconds: preview a shorter range or a narrower filter. An export may take longer."
        raise unprocessable(Detail("", message)) from None

    # ---- answering

    def _made(self, look: _Look, walked: Walked, tables: Sequence[Table], samples: Sequence[Sample]) -> Preview:
        spec, zipped = look.spec, look.new.protected
        rows_a_chunk = self._settings.chunk_rows_max
        if samples and (size := sum(s.size for s in samples)):
            rows_a_chunk = max(1, min(rows_a_chunk, self._settings.chunk_bytes_max * sum(s.rows for s in samples) // size))
        if datasets.get(spec.dataset).whole:
            rows_a_chunk = max(1, walked.rows)
        frames = {name: frame_of(spec, name) for name in spec.formats}
        total = estimates.estimated_bytes(spec, walked, samples, frames, rows_a_chunk, zipped)
        seconds = estimates.estimated_seconds(
            spec, walked, samples, look.begin_seconds, rows_a_chunk, max(1, self._settings.chunks_in_flight_max // 2)
        )
        met = preview.limits_met(spec, walked.rows, look.limits, look.running, look.rows_today, look.new.approval_above)
        return Preview(spec, walked, tables, estimates.estimated_rows(spec, walked, samples), total, seconds, [*look.problems, *met])

    async def _note(self, by: Principal, look: _Look, made: Preview) -> None:
        """For the audit trail, before anything is shown: who looks at whose data, which columns, and why."""
        shown: dict[str, Any] = {"dataset": look.spec.dataset, "formats": list(look.spec.formats)}
        shown |= {"columns": [c.key for t in made.tables[:1] for c in t.columns], "rows": len(made.tables[0].rows) if made.tables else 0}
        async with tenant(self._pool, by.org_id) as connection:
            await self._outbox.add(connection, [audit.entry(by, "export.previewed", look.spec.dataset, shown, look.new.purpose or "")])
        self._outbox.wake()
