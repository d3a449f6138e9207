"""What a preview formats: the first rows, to be shown, and samples of all of them for their size, on an engine as the formatter has it."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
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
from shared.datasets.plan import PlanSpec
from shared.errors import PermanentError
from shared.formats import registry as formats
from shared.formats.protection import deflater
from shared.formatting.engine import FormatEngine
from shared.formatting.parts import PartResult, Table
from shared.formatting.sheets import tables_shown

SHOWN_BYTES_MAX = 4 << 20  # of the rows shown, about; one row always is
SAMPLE_ROWS, SAMPLE_BYTES = 3_000, 2 << 20
WORKBOOK_ROWS, WORKBOOK_SAMPLE_ROWS = 1_000, 400
GROUPS_ROWS = 100_000
ALL_ROWS, ALL_BYTES = 5_000, 4 << 20  # an export below is formatted whole
QUICK_SECONDS, QUICK_ROWS, QUICK_BYTES = 1.0, 100_000, 48 << 20  # and one that takes no longer, and is no larger than a chunk may be

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


def _sinks(look: Look) -> dict[str, _Counted]:
    """Of each format, as its files are packed."""
    zipped = [name for name in look.spec.formats if look.new.protected and not formats.get(name).encrypts_itself]
    return {name: _Counted(deflater() if name in zipped else None) for name in look.spec.formats}


def _weighed(chunk: Chunk, share: float, seconds: float, sinks: Mapping[str, _Counted], results: Mapping[str, PartResult]) -> Sample:
    parts = {name: (sinks[name].end(), result.note) for name, result in results.items()}
    return Sample(chunk.rows, chunk.bytes, seconds, parts, next(iter(results.values())).rows, share)


def _quick(look: Look, walked: Walked, sample: Sample) -> Chunk | None:
    """All rows as one chunk, where formatting them takes but a moment by what a sample took: what repeats itself over many rows, as Parquet's dictionaries see it,
    few rows don't tell."""
    if (
        not walked.complete
        or datasets.get(look.spec.dataset).whole
        or walked.rows > QUICK_ROWS
        or walked.bytes > QUICK_BYTES
        or not sample.rows
    ):
        return None
    seconds = max(sample.seconds / 10, sample.seconds - look.begin_seconds) * walked.rows / sample.rows
    return Chunk(None, walked.chunks[-1].upper, walked.rows, walked.bytes) if seconds <= min(QUICK_SECONDS, look.left / 3) else None


def _looked_at(spec: PlanSpec) -> list[str]:
    """The formats whose rows are looked at one by one: the first, which is shown, and those that don't take every text."""
    return list(dict.fromkeys([spec.formats[0], *(name for name in spec.formats if formats.get(name).cell_units_max is not None)]))


def _is_shown_on_its_way(spec: PlanSpec) -> bool:
    """Whether the rows shown are the first of those formatted. Other sheets show what belongs to them; of a delta rows are compared first."""
    return spec.since is None and all(len(tables_shown(spec, name)) == 1 for name in _looked_at(spec))


class Sampling:
    """`threads`: where engines work, which block."""

    def __init__(self, counting: Counting, threads: ThreadPoolExecutor, clock: Callable[[], datetime]) -> None:
        self._counting, self._threads, self._clock = counting, threads, clock

    async def formatted(self, look: Look, walked: Walked, engine: FormatEngine) -> tuple[Sequence[Table], list[Sample]]:
        """The first rows, and samples of the others' size. What the rows themselves make impossible is a problem, and not the end."""
        whole = await self._whole(look, walked)
        try:
            if whole and _is_shown_on_its_way(look.spec):
                return await self._at_once(engine, look, whole[0])
            first = whole if whole and whole[0].rows <= preview.ROWS_SHOWN else await self._first(look, walked)
            if not first:  # nothing, or an erasure has taken what was counted
                return tables_shown(look.spec, look.spec.formats[0]), []
            began = time.monotonic()
            tables = await self._on(engine, engine.show_chunk, look, None, first[0].upper, look.spec.formats[0])
            look.begin_seconds = time.monotonic() - began
            await self._check(engine, look, first[0], tables)
            return tables, [await self._sample(engine, look, c, 1.0) for c in whole] or await self._samples(engine, look, walked)
        except PermanentError as error:
            if error.code == "too_slow":
                raise
            look.problems.append(Problem(error.message))
            return [], []

    async def _whole(self, look: Look, walked: Walked) -> list[Chunk]:
        """The chunk to be formatted whole, where it is little. Finding some groups costs as much as finding all: so as many as may be. Who was there
        when they were counted needn't ask again where they end."""
        dataset = datasets.get(look.spec.dataset)
        grouped = is_grouped(dataset)
        most = GROUPS_ROWS if grouped else WORKBOOK_ROWS if dataset.whole else ALL_ROWS
        if walked.complete and walked.rows <= most and (grouped or walked.bytes <= ALL_BYTES):
            return [Chunk(None, walked.chunks[-1].upper, walked.rows, walked.bytes)] if walked.chunks else []
        return await self._counting.bounds(look, Wanted(None, most)) if grouped else []

    async def _first(self, look: Look, walked: Walked) -> list[Chunk]:
        return await self._counting.bounds(look, Wanted(None, preview.ROWS_SHOWN, SHOWN_BYTES_MAX)) if walked.chunks else []

    async def _at_once(self, engine: FormatEngine, look: Look, whole: Chunk) -> tuple[list[Table], list[Sample]]:
        """Rows are found once: to be shown, looked at for texts longer than a cell takes, and weighed."""
        sinks, started = _sinks(look), time.monotonic()
        looked_at = _looked_at(look.spec)
        results, tables = await self._on(
            engine, engine.format_and_show, look, whole.lower, whole.upper, sinks, looked_at, preview.ROWS_SHOWN
        )
        for name, table in tables.items():
            if (most := formats.get(name).cell_units_max) is not None:
                look.problems += preview.too_long([table], most)
        return [tables[looked_at[0]]], [_weighed(whole, 1.0, time.monotonic() - started, sinks, results)]

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
                    if len(weighed) == 1 and (whole := _quick(look, walked, weighed[key])):
                        return [await self._sample(engine, look, whole, 1.0)]
        except asyncpg.QueryCanceledError:
            if not weighed:
                raise
        except PermanentError as error:
            if error.code != "too_slow" or not weighed:
                raise
        return list(weighed.values())

    async def _wanted(self, look: Look, walked: Walked) -> AsyncIterator[Wanted]:
        """What to format for its size."""
        rows = WORKBOOK_SAMPLE_ROWS if datasets.get(look.spec.dataset).whole else SAMPLE_ROWS
        found = estimates.places(walked.chunks)
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
        sinks, started = _sinks(look), time.monotonic()
        results = await self._on(engine, engine.format_chunk, look, chunk.lower, chunk.upper, sinks)
        return _weighed(chunk, share, time.monotonic() - started, sinks, results)

    async def _on(self, engine: FormatEngine, method: Callable[..., T], look: Look, lower: Any, upper: Any, *what: Any) -> T:
        """A call of the engine, which blocks, in a thread."""
        engine.statement_seconds = look.left
        call = partial(method, look.spec, look.org_id, look.new.snapshot, lower, upper, *what)
        return await asyncio.get_running_loop().run_in_executor(self._threads, call)
