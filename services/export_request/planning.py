"""Plans exports in short steps: the next chunk bounds under the export's snapshot, stored at once, so that a crash loses one step."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import asyncpg
import structlog

from services.export_request.assembly import Assembly, parts_of, spec_of
from services.export_request.core.life import Failed, PlanGrew, Status
from services.export_request.core.planning import FILES_MAX, WHOLE, ChunkLimits, Cursor, Planned, add, grown, is_express, resume, rows_max
from services.export_request.effects import Effects, Outcome, Row, seconds_between
from services.export_request.metrics import PLAN_STEP_SECONDS
from services.export_request.queries import load
from services.export_request.releasing import IN_HAND_SECONDS, Releaser
from services.export_request.settings import Settings
from shared.database import Connection, across_tenants, is_passing, tenant
from shared.datasets import registry as datasets
from shared.datasets.plan import PlanSpec
from shared.datasets.sql import Settled, session_sql, settled_tables
from shared.errors import TransientError
from shared.metrics import STAGE_SECONDS
from shared.observability import span
from shared.outbox import Outbox

log = structlog.get_logger()
STEP_SECONDS_MAX = 0.5  # a step ends after the chunk that goes beyond this
STEP_CHUNKS_MAX = 200
BEGUN_MAX = 4  # first steps at once, right after acceptance; more wait for the loop
POLL_SECONDS = 1.0


@dataclass(frozen=True)
class Found:
    """The chunks of a step; `complete`: there are no more rows; `failed`: what makes the export impossible."""

    chunks: list[Planned]
    cursor: Cursor
    complete: bool
    failed: Failed | None = None


class Planner:
    """Steps of exports accepted here start at once; two loops take what is left over, first steps in a lane of their own."""

    def __init__(
        self, pool: asyncpg.Pool, outbox: Outbox, effects: Effects, assembly: Assembly, releaser: Releaser, settings: Settings,
        clock: Callable[[], datetime],
    ) -> None:  # fmt: skip
        self._pool, self._outbox, self._effects, self._assembly, self._releaser = pool, outbox, effects, assembly, releaser
        self._settings, self._clock, self._queries = settings, clock, load()
        self.limits = ChunkLimits(settings.chunk_rows_max, settings.chunk_bytes_max)
        self._begun: set[asyncio.Task[None]] = set()
        self._first, self._next = asyncio.Event(), asyncio.Event()

    def limits_of(self, row: Row) -> ChunkLimits:
        """What a chunk of this export may hold: as it was when it, or the one that it repeats, was accepted."""
        return ChunkLimits(row["chunk_rows_max"] or self.limits.rows, row["chunk_bytes_max"] or self.limits.bytes)

    def lease(self, now: datetime) -> datetime | None:
        """For an export being accepted: until when this process plans its first step; None where it has enough to do."""
        return now + timedelta(seconds=self._settings.plan_lease_seconds) if len(self._begun) < BEGUN_MAX else None

    def begin(self, row: Row) -> None:
        """Plan the first step of an export that has just been accepted, now; call after the commit."""
        if row["lease_until"] is None:
            self._first.set()
            return
        task = asyncio.create_task(self.work(row), name=f"plan {row['id']}")
        self._begun.add(task)
        task.add_done_callback(self._begun.discard)

    def go_on(self) -> None:
        """There may be plans to go on with."""
        self._next.set()

    async def run_first(self) -> None:
        await self._run(True, self._first)

    async def run_next(self) -> None:
        await self._run(False, self._next)

    async def _run(self, first_steps: bool, wake: asyncio.Event) -> None:
        while True:
            try:
                row = await self.claim(first_steps)
                in_hand = row is None and await self._is_due(first_steps)
            except TransientError as error:
                log.warning("planner_waits", reason=str(error))
                row, in_hand = None, False
            if row is not None:
                await self.work(row)
                continue
            if in_hand:
                await asyncio.sleep(IN_HAND_SECONDS)
                continue
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(POLL_SECONDS):  # wait_for of Python 3.11 can lose a cancellation
                    await wake.wait()
            wake.clear()

    async def claim(self, first_steps: bool) -> Row | None:
        now = self._clock()
        until = now + timedelta(seconds=self._settings.plan_lease_seconds)
        async with across_tenants(self._pool) as connection:
            row: Row | None = await self._queries.claim_plan(connection, now=now, lease_until=until, first_steps=first_steps)
        return row

    async def _is_due(self, first_steps: bool) -> bool:
        """Whether a plan can go on that nobody could claim: its chunks are being released, or one of them was told of, at this moment."""
        async with across_tenants(self._pool) as connection:
            return bool(await self._queries.plan_is_due(connection, now=self._clock(), first_steps=first_steps))

    async def work(self, row: Row) -> None:
        """One step. What passes is tried again soon; anything else ends the export, never this process."""
        try:
            with span("plan", {"traceparent": row["traceparent"]}):
                await self.step(row)
        except TransientError as error:
            log.warning("plan_waits", export_id=row["id"], reason=str(error))
            await self._again(row)
        except Exception as error:
            log.error("plan_failed", export_id=row["id"], kind=type(error).__name__, exc_info=error)
            await self._fail(row, Failed("plan_failed", f"The export could not be planned ({type(error).__name__})."))

    async def step(self, row: Row) -> None:
        """Find the next chunks of a leased export and store them."""
        with PLAN_STEP_SECONDS.labels(row["dataset"]).time():
            found = await self._find(row)
        async with across_tenants(self._pool) as connection:
            await self._store(connection, row, found)
        self._outbox.wake()
        self._releaser.wake()
        if not found.complete:
            self._next.set()

    async def _find(self, row: Row) -> Found:
        """Ask the dataset for bounds, chunk by chunk, under the organisation's row-level security and without writing."""
        spec = spec_of(row["spec"])
        limits = WHOLE if datasets.get(spec.dataset).whole else self.limits_of(row)
        chunks: list[Planned] = []
        until = time.monotonic() + STEP_SECONDS_MAX
        # As many as were planned before, one after the first step: formatters have nothing to do until what a step finds is stored.
        most = min(STEP_CHUNKS_MAX, row["chunks_planned"] or STEP_CHUNKS_MAX)
        async with tenant(self._pool, row["org_id"], "repeatable_read", readonly=True) as connection:
            cursor = await self._cursor(connection, row, spec.max_rows_per_file)
            await connection.execute(session_sql(row["org_id"]))
            snapshot = await settled(connection, spec, row["snapshot"])
            while True:
                seconds = 0.9 * self._settings.plan_lease_seconds
                found, complete = await next_chunk(connection, spec, snapshot, cursor, grown(limits, cursor.number), seconds)
                if found.get("long") and (failed := await self._too_long(connection, row, chunks, cursor, found)):
                    return Found(chunks, cursor, False, failed)
                if found["rows"]:
                    chunk, cursor = add(cursor, spec.max_rows_per_file, found["rows"], found["bytes"], list(found["last_key"]))
                    chunks.append(chunk)
                if complete:
                    return Found(chunks, cursor, True)
                if len(chunks) >= most or time.monotonic() > until or self._large(row, chunks):
                    return Found(chunks, cursor, False)

    async def _too_long(self, connection: Connection, row: Row, chunks: Sequence[Planned], cursor: Cursor, found: Row) -> Failed | None:
        """A text of the chunk that a format can't hold, by row (from 1) and column, before any work starts."""
        query = datasets.get(row["dataset"]).too_long(spec_of(row["spec"]), row["snapshot"], cursor.after, list(found["last_key"]))
        place = await connection.fetchrow(query, timeout=0.9 * self._settings.plan_lease_seconds)
        if place is None:
            return None
        number = row["rows_planned"] + sum(c.rows for c in chunks) + place["row"]
        within = f"{place['within']}, " if place["within"] else ""
        return Failed("cell_too_long", f"Row {number}, {within}column '{place['header']}': the text is longer than a cell takes.")

    def _large(self, row: Row, chunks: Sequence[Planned]) -> bool:
        """Whether a first step has seen enough: the export isn't express, so its first chunk may go out at once and others be planned."""
        return row["chunks_planned"] == 0 and sum(c.rows for c in chunks) > self._settings.express_rows_max

    async def _cursor(self, connection: Connection, row: Row, max_rows_per_file: int | None) -> Cursor:
        last = await self._queries.last_file(connection, export_id=row["id"]) if row["chunks_planned"] else None
        counts = (last["file_number"], last["chunks"], last["rows"], last["last_rows"], last["last_bytes"]) if last else (1, 0, 0, 0, 0)
        return resume(max_rows_per_file, row["chunks_planned"], row["planned_to"], *counts)

    async def _store(self, connection: Connection, planned: Row, found: Found) -> None:
        """The chunks, the export's new state, its first release where it is express, and what follows for its files, in one transaction."""
        row = await self._queries.lock_export(connection, id=planned["id"])
        if row is None or row["planned"] or row["chunks_planned"] != planned["chunks_planned"]:
            return  # it has ended, or another process was faster
        now = self._clock()
        if found.failed is not None:
            await self._publish(connection, await self._effects.apply(connection, row, found.failed, now))
            return
        files = max([row["files_planned"], *(c.file_number for c in found.chunks)])
        if files * len(parts_of(spec_of(row["spec"]))) > FILES_MAX:
            too_many = Failed("too_many_files", f"The export would have more than {FILES_MAX} files; ask for more rows a file.")
            await self._publish(connection, await self._effects.apply(connection, row, too_many, now))
            return
        rows = sum(c.rows for c in found.chunks)
        if (most := found_rows_max(row)) is not None and row["rows_planned"] + rows > most:
            too_many = Failed(
                "too_many_found", f"The search finds more than {most} rows: narrow it, or ask by a range and filters without q."
            )
            await self._publish(connection, await self._effects.apply(connection, row, too_many, now))
            return
        if rows and not await self._queries.count_rows(
            connection, org_id=row["org_id"], rows=rows, rows_a_day=self._settings.organisation_rows_a_day
        ):
            spent = Failed("rows_limit", "With this export your organisation's exports would have more rows today than its limit allows.")
            await self._publish(connection, await self._effects.apply(connection, row, spent, now))
            return
        express = self._express(row, found)
        grown = PlanGrew(rows, len(found.chunks), found.complete)
        outcome = await self._effects.apply(
            connection, row, grown, now, express=express, files_planned=files, planned_to=found.cursor.after, planned_at=now,
            lease_until=None,
        )  # fmt: skip
        if outcome is None:
            return
        if found.complete:
            STAGE_SECONDS.labels("plan").observe(seconds_between(row["created_at"], now))
        await self._queries.add_chunks(connection, [self._chunk(c, row, express) for c in found.chunks])
        row, messages = outcome.row, list(outcome.messages)
        if row["status"] != Status.awaiting_approval and (found.complete or (files > 1 and planned["files_planned"] == 1)):
            messages += await self._assembly.send(connection, row, None, closes=found.complete)
        if express and found.chunks and row["status"] == Status.planning:
            messages += await self._releaser.release_express(connection, row, found.chunks[0], now)
        await self._outbox.add(connection, messages)

    def _express(self, row: Row, found: Found) -> bool:
        rows, size = sum(c.rows for c in found.chunks), sum(c.bytes for c in found.chunks)
        first = row["chunks_planned"] == 0
        return first and is_express(
            len(found.chunks), rows, size, found.complete, self._settings.express_rows_max, self._settings.express_bytes_max
        )

    @staticmethod
    def _chunk(chunk: Planned, row: Row, express: bool) -> Mapping[str, Any]:
        return {
            "export_id": row["id"], "org_id": row["org_id"], "number": chunk.number, "file_number": chunk.file_number,
            "position": chunk.position, "lower": chunk.lower, "upper": chunk.upper, "rows": chunk.rows, "bytes": chunk.bytes,
            "express": express,
        }  # fmt: skip

    async def _publish(self, connection: Connection, outcome: Outcome | None) -> None:
        if outcome is not None:
            await self._outbox.add(connection, outcome.messages)

    async def _again(self, row: Row) -> None:
        """Give the lease back, to be tried again in a moment. Where even that fails, the lease runs out by itself."""
        with contextlib.suppress(TransientError):
            async with across_tenants(self._pool) as connection:
                soon = self._clock() + timedelta(seconds=POLL_SECONDS)
                await self._queries.release_lease(connection, id=row["id"], lease_until=soon)

    async def _fail(self, planned: Row, failed: Failed) -> None:
        try:
            async with across_tenants(self._pool) as connection:
                row = await self._queries.lock_export(connection, id=planned["id"])
                if row is not None:
                    await self._publish(connection, await self._effects.apply(connection, row, failed, self._clock()))
        except Exception as error:
            if not is_passing(error) and not isinstance(error, TransientError):
                raise
            log.warning("plan_waits", export_id=planned["id"], reason=type(error).__name__)
        self._outbox.wake()


async def settled(connection: Connection, spec: PlanSpec, snapshot: str) -> str:
    """The snapshot as this transaction, which is a repeatable read, best asks by it."""
    if spec.since is not None:
        return snapshot
    return Settled(snapshot, (await connection.fetchval(settled_tables(snapshot))).split(","))


async def next_chunk(
    connection: Connection, spec: PlanSpec, snapshot: str, cursor: Cursor, limits: ChunkLimits, seconds: float
) -> tuple[Row, bool]:
    """Where the next chunk ends, and whether it is the last. Most often as many rows as may be fit; where not, a second query finds how many do."""
    dataset = datasets.get(spec.dataset)
    most, complete = rows_max(cursor, limits), False
    for bytes_max in (None, limits.bytes):
        found: Row = await connection.fetchrow(dataset.plan_query(spec, snapshot, cursor.after, most, bytes_max), timeout=seconds)
        if found["rows"] <= 1 or found["bytes"] <= limits.bytes:
            complete = bytes_max is None and found["rows"] < most
            break
    return found, complete


def found_rows_max(row: Row) -> int | None:
    """How many rows an export may have that is the result of a search; None for others."""
    return datasets.get(row["dataset"]).found_rows_max if "q" in spec_of(row["spec"]).filter else None
