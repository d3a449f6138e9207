"""After a change of an organisation's rules: every lead is published again, in the background, a few hundred at a time.

Nothing is remembered of the walk: what is left to do are the leads whose facts were last published by an older model (ingest.lead_facts), so a process that
dies loses nothing, rules that change meanwhile start it over, and several processes share it. It ends under a lock that waits for whoever read older rules.
"""

import asyncio
from collections import deque

import asyncpg
import structlog

from services.ingest.metrics import RESCORED
from services.ingest.scores.publishing import Publisher, as_scorer
from services.ingest.scores.queries import load, rows
from shared.errors import TransientError
from shared.messages import LeadChanged

log = structlog.get_logger()
ORGANISATIONS_MAX = 50  # of a round; each has one step in it
LEADS_MAX = 500  # of a step
STEPS_UNDER_WAY = 4  # published and not yet scored: what else changes has not much to wait behind
LOOK_SECONDS = 1.0
KEPT_SECONDS, KEPT_POLL_SECONDS = 10.0, 0.02
Place = tuple[int, str]  # model_version and id
START: Place = (-1, "")


class Rescorer:
    """`run` rescores for ever what has to be."""

    def __init__(self, pool: asyncpg.Pool, publisher: Publisher) -> None:
        self._pool, self._publisher, self._queries = pool, publisher, load()
        self._places: dict[str, Place] = {}  # where to look on; only to not look again at what has just been done
        self._under_way: deque[LeadChanged] = deque()  # the last lead of each step

    async def run(self) -> None:
        while True:
            try:
                idle = not await self.round()
            except TransientError as error:
                log.warning("rescoring_waits", reason=str(error))
                idle = True
            if idle:
                await asyncio.sleep(LOOK_SECONDS)

    async def round(self) -> int:
        """One step of some organisations that need it. Returns how many leads were published, or ended an organisation's rescoring."""
        async with as_scorer(self._pool) as connection:
            waiting = await rows(self._queries.to_rescore(connection, count=ORGANISATIONS_MAX))
        done = 0
        for organisation in waiting:
            await self._until_scored(STEPS_UNDER_WAY)
            done += await self._step(organisation["org_id"], organisation["model_version"])
        return done

    async def _step(self, org_id: str, model_version: int) -> int:
        place = self._places.get(org_id, START)
        async with as_scorer(self._pool) as connection:
            await self._queries.share_leads(connection, org_ids=[org_id])
            stale = await rows(
                self._queries.stale_leads(
                    connection, org_id=org_id, model_version=model_version, after_model=place[0], after_id=place[1], count=LEADS_MAX
                )
            )
            changes = await self._publisher.publish(connection, [(org_id, row["id"]) for row in stale]) if stale else []
        if changes:
            self._under_way.append(changes[-1])
            self._publisher.wake_outbox()
            RESCORED.inc(len(changes))
        if stale:
            self._places[org_id] = (stale[-1]["model_version"], stale[-1]["id"])
            return len(stale)
        if self._places.pop(org_id, START) != START:
            return 1  # look once more from the start: rows that were locked, or rules that have changed again
        return int(await self._end(org_id))

    async def _end(self, org_id: str) -> bool:
        async with as_scorer(self._pool) as connection:
            await self._queries.have_leads_alone(connection, org_id=org_id)
            ended = bool(await self._queries.end_rescoring(connection, org_id=org_id))
        if ended:
            log.info("rescored", org_id=org_id)
        return ended

    async def _until_scored(self, steps: int) -> None:
        """Wait until fewer steps than these are under way; a score that doesn't come is not waited for any longer than a while."""
        while len(self._under_way) >= steps:
            last = self._under_way.popleft()
            deadline = asyncio.get_running_loop().time() + KEPT_SECONDS
            while not await self._is_kept(last):
                if asyncio.get_running_loop().time() > deadline:
                    log.warning("scores_are_late", seconds=KEPT_SECONDS)
                    break
                await asyncio.sleep(KEPT_POLL_SECONDS)

    async def _is_kept(self, change: LeadChanged) -> bool:
        async with as_scorer(self._pool) as connection:
            return bool(await self._queries.is_kept(connection, org_id=change.org_id, id=change.lead_id, version=change.facts_version))
