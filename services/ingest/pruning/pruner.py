"""Superseded versions go, organisation by organisation, in small batches.

First, under a lock that who accepts an export shares, the instants that are kept are read, and it is written down from when on others can't be seen any more
(`ingest.prunings`); then versions go that none of the kept ones sees. So whoever reads at an instant without keeping it looks behind its reading whether
it was written down meanwhile: if not, nothing had gone. A process that dies leaves a round to be done again.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass

import asyncpg
import structlog

from services.ingest.core.pruning import Instant, Stretch, arrivals_before, instants, stretches, watching
from services.ingest.core.rows import RECORD_TYPES
from services.ingest.metrics import PRUNED, PRUNED_AT
from services.ingest.pruning.queries import statement
from services.ingest.scores.publishing import as_scorer
from shared.database import Connection, sorted_errors, tenant
from shared.datasets.changes import NOTED
from shared.errors import TransientError

log = structlog.get_logger()
TABLES = (*sorted(kind.table for kind in RECORD_TYPES.values()), "lead_scores")
VERSIONS_AT_ONCE = 2_000  # of a batch, and all else that its last transaction ended
ORGANISATIONS_AT_ONCE = 500
LOCK_MILLISECONDS = 200  # that requests may have to wait behind us while one is being accepted
LEASE_SECONDS = 600.0
AGAIN_SECONDS = 5.0


@dataclass(frozen=True)
class Round:
    """What is to be done for an organisation."""

    org_id: str
    before: int
    kept: Sequence[Instant]
    stretches: Sequence[Stretch]


class Pruner:
    """`run` prunes for ever. `days`: what was replaced or deleted is kept for so long, whoever needs it; cursors look back a day."""

    def __init__(self, pool: asyncpg.Pool, days: float, seconds: float, versions_at_once: int = VERSIONS_AT_ONCE) -> None:
        self._pool, self._days, self._seconds, self._at_once = pool, days, seconds, versions_at_once

    async def run(self) -> None:
        while True:
            try:
                await self.round()
                PRUNED_AT.set_to_current_time()
            except TransientError as error:
                log.warning("pruning_waits", reason=str(error))
            await asyncio.sleep(self._seconds)

    async def round(self) -> int:
        """Every organisation once. Returns how many versions went."""
        with sorted_errors():
            async with self._pool.acquire(timeout=5) as connection:
                await connection.execute(statement("note_horizon"), self._seconds * 0.9)
                horizon = await connection.fetchval(statement("horizon"), self._days)
                await connection.execute(statement("forget_horizons"), self._days)
        if horizon is None:
            return 0
        pruned, after = 0, ""
        while org_ids := await self._organisations(after):
            after = org_ids[-1]
            for org_id in org_ids:
                pruned += await self._one(org_id, int(horizon))
        return pruned

    async def _organisations(self, after: str) -> list[str]:
        async with as_scorer(self._pool) as connection:
            return [row["org_id"] for row in await connection.fetch(statement("organisations"), after, ORGANISATIONS_AT_ONCE)]

    async def _one(self, org_id: str, horizon: int) -> int:
        try:
            found = await self.mark(org_id, horizon)
            return 0 if found is None else await self.prune(found)
        except TransientError as error:  # an export of its is just being accepted, say: the next round
            log.warning("pruning_waits", org_id=org_id, reason=str(error))
            return 0

    async def mark(self, org_id: str, horizon: int) -> Round | None:
        """The first half. None where nothing is to be done, or another process does it."""
        async with tenant(self._pool, org_id) as connection:
            await connection.execute(f"SET LOCAL lock_timeout = {LOCK_MILLISECONDS}")
            await connection.execute(statement("enter_alone"), org_id)
            state = await connection.fetchrow(statement("state"), org_id)
            if state is not None and state["taken"]:
                return None
            kept = instants([row["snapshot"] for row in await connection.fetch(statement("kept"), org_id)])
            then = instants(state["kept"]) if state else []
            before = max(horizon, int(state["before"]) if state else 0)
            todo = stretches(int(state["looked_to"]) if state else 0, before, then, kept)
            if not todo:
                return None
            await connection.execute(statement("mark"), org_id, str(before), LEASE_SECONDS)
        return Round(org_id, before, kept, todo)

    async def prune(self, todo: Round) -> int:
        """The second half: in batches, each a transaction, with pauses as long as they took."""
        pruned = 0
        try:
            for table in TABLES:
                for stretch in todo.stretches:
                    pruned += await self._stretch(todo, table, stretch)
            for type_ in sorted(NOTED):
                await self._arrivals(todo, type_)
        except BaseException:
            async with tenant(self._pool, todo.org_id) as connection:
                await connection.execute(statement("leave"), todo.org_id)
            raise
        async with tenant(self._pool, todo.org_id) as connection:
            await connection.execute(statement("finish"), todo.org_id, str(todo.before), [k.text for k in todo.kept])
        if pruned:
            log.info("pruned", org_id=todo.org_id, versions=pruned)
        return pruned

    async def _stretch(self, todo: Round, table: str, stretch: Stretch) -> int:
        start, end = stretch
        pruned = 0
        while start < end:
            began = time.monotonic()
            async with tenant(self._pool, todo.org_id) as connection:
                found = await connection.fetchval(statement("end_of_batch", table), todo.org_id, str(start), str(end), self._at_once)
                upto = end if found is None else max(int(found), start + 1)
                kept = watching(todo.kept, start, upto)
                gone = _count(await connection.execute(statement("prune", table), todo.org_id, str(start), str(upto), kept))
                if found is not None:
                    await connection.execute(statement("mark"), todo.org_id, str(todo.before), LEASE_SECONDS)
            PRUNED.labels(table).inc(gone)
            pruned, start = pruned + gone, upto
            await asyncio.sleep(time.monotonic() - began)
        return pruned

    async def _arrivals(self, todo: Round, type_: str) -> None:
        before = str(arrivals_before(todo.before, todo.kept))
        gone = self._at_once
        while gone >= self._at_once:
            began = time.monotonic()
            async with tenant(self._pool, todo.org_id) as connection:
                gone = await self._forget(connection, todo.org_id, type_, before)
            await asyncio.sleep(time.monotonic() - began)

    async def _forget(self, connection: Connection, org_id: str, type_: str, before: str) -> int:
        return _count(await connection.execute(statement("prune_arrivals"), org_id, type_, before, self._at_once))


def _count(status: str) -> int:
    """Of PostgreSQL's `DELETE 17`."""
    return int(status.rpartition(" ")[2])
