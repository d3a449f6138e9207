"""What a preview formats: the first rows, to be shown, and samples of all of them for their size, on an engine as the formatter has it."""

import asyncio
import time
import zlib
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any, TypeVar

import asyncpg

from services.export_request.core import estimates, preview
from services.export_request.core.estimates import Chunk, Sample, Walked, is_grouped
from services.export_request.core.preview import Problem
from services.export_request.counting import Counting, Look, Wanted
from shared.datasets import registry as datasets
from shared.errors import PermanentError
from shared.formats import registry as formats
from shared.formatting.engine import FormatEngine
from shared.formatting.parts import Table

SHOWN_BYTES_MAX = 4 << 20  # of the rows shown, about; one row always is
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


class Sampling:
    """`threads`: where engines work, which block."""

    def __init__(self, counting: Counting, threads: ThreadPoolExecutor, clock: Callable[[], datetime]) -> None:
        self._counting, self._threads, self._clock = counting, threads, clock

    async def formatted(self, look: Look, walked: Walked, engine: FormatEngine) -> tuple[list[Table], list[Sample]]:
        """The first rows, and samples of the others' size. What the rows themselves make impossible is a problem, and not the end."""
        found = await self._counting.bounds(look, Wanted(None, preview.ROWS_SHOWN, SHOWN_BYTES_MAX)) if walked.chunks else []
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

    async def _samples(self, engine: FormatEngine, look: Look, walked: Walked) -> list[Sample]:
        """As many as there is time for, one at least."""
        weighed: dict[tuple[str, ...], Sample] = {}
        try:
            async for wanted in self._wanted(look, walked):
                if weighed and look.left < look.seconds / 3:
                    break
                key = (*(wanted.after or ()), str(wanted.share > 0))
                if key in weighed:  # one row holds several places
                    weighed[key] = replace(weighed[key], share=weighed[key].share + wanted.share)
                    continue
                for chunk in await self._counting.bounds(look, wanted):
                    weighed[key] = await self._sample(engine, look, chunk, wanted.share)
        except asyncpg.QueryCanceledError:
            if not weighed:
                raise
        except PermanentError as error:
            if error.code != "too_slow" or not weighed:
                raise
        return list(weighed.values())

    async def _wanted(self, look: Look, walked: Walked) -> AsyncIterator[Wanted]:
        """What to format for its size: all of it where that is little, else samples."""
        dataset = datasets.get(look.spec.dataset)
        if is_grouped(dataset):  # finding some of its rows costs as much as finding all
            yield Wanted(None, GROUPS_ROWS)
            return
        most = WORKBOOK_ROWS if dataset.whole else ALL_ROWS
        if walked.complete and walked.rows <= most and walked.bytes <= ALL_BYTES:
            yield Wanted(None, most)
            return
        rows, found = WORKBOOK_SAMPLE_ROWS if dataset.whole else SAMPLE_ROWS, estimates.places(walked.chunks)
        for at, offset in found[::2] + found[1::2]:  # who runs out of time has seen all of the range
            yield Wanted(await self._place(look, walked.chunks[at], offset), rows, SAMPLE_BYTES, 1 / len(found))
        for key in estimates.beyond(look.spec, walked, self._clock()):
            yield Wanted(key, rows, SAMPLE_BYTES, 0)

    async def _place(self, look: Look, chunk: Chunk, offset: int) -> Sequence[str] | None:
        """The key behind which the row stands that is so many bytes behind the start of a chunk."""
        if not offset:
            return chunk.lower
        before = await self._counting.bounds(look, Wanted(chunk.lower, chunk.rows, offset))
        return before[0].upper if before and before[0].bytes <= offset else chunk.lower

    async def _check(self, engine: FormatEngine, look: Look, first: Chunk, tables: Sequence[Table]) -> None:
        """Texts among the first rows that are longer than a cell takes: also those that only an encoder sees."""
        longest = max((len(text) for table in tables for row in table.rows for text in row), default=0)
        for name in look.spec.formats:
            if (most := formats.get(name).cell_units_max) is not None:
                if is_grouped(datasets.get(look.spec.dataset)) and longest <= most // 2:
                    continue  # its texts are the same in every format, and finding them again is dear
                shown = tables if name == look.spec.formats[0] else await self._on(engine, engine.show_chunk, look, None, first.upper, name)
                look.problems += preview.too_long(shown, most)

    async def _sample(self, engine: FormatEngine, look: Look, chunk: Chunk, share: float) -> Sample:
        zipped = look.new.protected
        sinks = {
            name: _Counted(zlib.compressobj(1, zlib.DEFLATED, -15) if zipped and not formats.get(name).encrypts_itself else None)
            for name in look.spec.formats
        }
        started = time.monotonic()
        results = await self._on(engine, engine.format_chunk, look, chunk.lower, chunk.upper, sinks)
        parts = {name: (sinks[name].end(), result.note) for name, result in results.items()}
        return Sample(chunk.rows, chunk.bytes, time.monotonic() - started, parts, next(iter(results.values())).rows, share)

    async def _on(self, engine: FormatEngine, method: Callable[..., T], look: Look, lower: Any, upper: Any, what: Any) -> T:
        """A call of the engine, which blocks, in a thread."""
        engine.statement_seconds = look.left
        call = partial(method, look.spec, look.org_id, look.new.snapshot, lower, upper, what)
        return await asyncio.get_running_loop().run_in_executor(self._threads, call)
