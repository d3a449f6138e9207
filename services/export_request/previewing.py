"""Previews: what an export would hold, how large it would be and what would break, without one. The rows go through the encoders of the export itself.

Everything is read under one snapshot and bounded in time: `preview_seconds` for all, and PostgreSQL ends a statement that takes longer. What can't be counted
in time is extrapolated, and said to be. Nothing is left behind but a line of the audit trail.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

import asyncpg

from services.export_request.asking import Request
from services.export_request.assembly import spec_of
from services.export_request.core import estimates, preview
from services.export_request.core.estimates import Sample, Walked
from services.export_request.core.limits import Limits, limits_of
from services.export_request.core.preview import Preview, Problem
from services.export_request.counting import Counting, Look
from services.export_request.frames import frame_of
from services.export_request.intake import Intake
from services.export_request.metrics import PREVIEW_SECONDS
from services.export_request.queries import load
from services.export_request.sampling import Sampling
from services.export_request.settings import Settings
from shared import audit
from shared.database import for_libpq, tenant
from shared.datasets import registry as datasets
from shared.errors import ApiError, Detail, PermanentError, unprocessable
from shared.formatting.engine import FormatEngine
from shared.formatting.parts import Table
from shared.http import Principal
from shared.outbox import Outbox

ENGINES = 2  # previews at once; the next one waits for its turn


class Previews:
    """Makes previews on engines of its own, `ENGINES` at once."""

    def __init__(
        self, pool: asyncpg.Pool, intake: Intake, outbox: Outbox, settings: Settings, limits: Limits, clock: Callable[[], datetime]
    ) -> None:
        self._pool, self._intake, self._outbox, self._settings, self._limits, self._clock = pool, intake, outbox, settings, limits, clock
        self._queries = load()
        self._threads = ThreadPoolExecutor(ENGINES, thread_name_prefix="preview")
        self._counting = Counting(pool)
        self._sampling = Sampling(self._counting, self._threads, clock)
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
            walked = await self._within(look, self._counting.walk(look))
            engine = await self._turn(look)
            try:
                tables, samples = await self._within(look, self._sampling.formatted(look, walked, engine))
            finally:
                self._free.put_nowait(engine)
            made = self._made(look, walked, tables, samples)
            await self._note(by, look, made)
        return made.view

    async def _look(self, by: Principal, body: Any) -> Look:
        seconds = self._settings.preview_seconds
        until = time.monotonic() + seconds
        request = Request(by.org_id, body, None, f"key:{by.key_id}", by=by)
        async with tenant(self._pool, by.org_id, readonly=True) as connection:
            new = await self._intake.previewed(connection, request)
            limits = limits_of(await self._queries.organisation(connection), self._limits)
            used = await self._queries.used(connection, org_id=by.org_id, today=self._clock().date())
        look = Look(by.org_id, new, spec_of(new.spec), seconds, until, limits, used["running"], used["rows"])
        look.problems += [Problem(f"{d.field} {d.message}") for d in new.lacks]
        return look

    # ---- time

    async def _turn(self, look: Look) -> FormatEngine:
        try:
            async with asyncio.timeout(look.left / 2):
                return await self._free.get()
        except TimeoutError:
            raise ApiError(
                503, "unavailable", "Too many previews are being made at this moment; try again.", headers={"Retry-After": "2"}
            ) from None

    async def _within(self, look: Look, work: Any) -> Any:
        """What `work` gives. Raises ApiError 422 where PostgreSQL takes longer than it may."""
        try:
            return await work
        except asyncpg.QueryCanceledError:
            pass
        except PermanentError as error:
            if error.code != "too_slow":
                raise
        seconds = round(look.seconds, 1)
        message = f"The first rows weren't found within {seconds:g} seconds: preview a shorter range or a narrower filter. An export may take longer."
        raise unprocessable(Detail("", message)) from None

    # ---- answering

    def _made(self, look: Look, walked: Walked, tables: Sequence[Table], samples: Sequence[Sample]) -> Preview:
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

    async def _note(self, by: Principal, look: Look, made: Preview) -> None:
        """For the audit trail, before anything is shown: who looks at whose data, which columns, and why."""
        shown: dict[str, Any] = {"dataset": look.spec.dataset, "formats": list(look.spec.formats)}
        shown |= {"columns": [c.key for t in made.tables[:1] for c in t.columns], "rows": len(made.tables[0].rows) if made.tables else 0}
        async with tenant(self._pool, by.org_id) as connection:
            await self._outbox.add(connection, [audit.entry(by, "export.previewed", look.spec.dataset, shown, look.new.purpose or "")])
        self._outbox.wake()
