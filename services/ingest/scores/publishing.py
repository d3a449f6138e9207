"""Touched leads into lead-changes: notes are taken, facts computed and published in one transaction, so that none is lost and each is as new as its version says.

Rounds are fair: each serves a few organisations in turn, each of them a few notes, so a large import keeps nobody waiting but itself. Several
processes share the notes between them.
"""

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager

import asyncpg
import structlog

from services.ingest.core.lead_changes import lead_changed
from services.ingest.metrics import LEADS_PUBLISHED, ROUND_SECONDS, TOUCH_AGE
from services.ingest.scores.queries import load, rows
from shared.database import Connection, sorted_errors
from shared.errors import TransientError
from shared.messages import LeadChanged
from shared.outbox import Outbox, Outgoing, internal
from shared.topics import LEAD_CHANGES

log = structlog.get_logger()
ORGANISATIONS_MAX = 16  # of a round
NOTES_MAX = 8  # of a round, where one organisation has it for itself; each has up to 100 ids
GAP_SECONDS = 0.05  # between rounds: what is touched again meanwhile is published once, and records come first
POLL_SECONDS = 0.25  # other processes' notes are seen by looking
AGAIN_SECONDS = 1.0
MEASURE_SECONDS = 5.0
Lead = tuple[str, str]  # organisation and id


@asynccontextmanager
async def as_scorer(pool: asyncpg.Pool) -> AsyncIterator[Connection]:
    """A transaction across organisations, as the role that reads what scores follow from."""
    with sorted_errors():
        async with pool.acquire(timeout=5) as connection, connection.transaction():
            await connection.execute("SET LOCAL ROLE waybill_scorer")
            yield connection


class Publisher:
    """`run` publishes for ever what was touched; `publish` publishes given leads in the caller's transaction."""

    def __init__(self, pool: asyncpg.Pool, outbox: Outbox) -> None:
        self._pool, self._outbox, self._queries = pool, outbox, load()
        self._after = ""  # the last organisation of the round before
        self._wake = asyncio.Event()

    def wake(self) -> None:
        """Records were written."""
        self._wake.set()

    async def run(self) -> None:
        while True:
            try:
                taken = await self.step()
            except TransientError as error:
                log.warning("publishing_waits", reason=str(error))
                await asyncio.sleep(AGAIN_SECONDS)
                continue
            await (asyncio.sleep(GAP_SECONDS) if taken else self._wait())

    async def watch(self) -> None:
        """Keep the metric of what waits fresh, for ever."""
        while True:
            with contextlib.suppress(TransientError):
                async with as_scorer(self._pool) as connection:
                    TOUCH_AGE.set(max(0.0, await self._queries.oldest_touch(connection)))
            await asyncio.sleep(MEASURE_SECONDS)

    async def step(self) -> int:
        """One round. Returns how many notes it took; where there were some, there may be more."""
        with ROUND_SECONDS.time():
            async with as_scorer(self._pool) as connection:
                notes = await self._take(connection)
                if notes:
                    through: dict[str, set[Lead]] = defaultdict(set)
                    for note in notes:
                        through[note["through"]].update([(note["org_id"], id_) for id_ in note["ids"]])
                    await self.publish(connection, through["lead"], through["conversation"])
        if notes:
            self._outbox.wake()
        return len(notes)

    async def publish(self, connection: Connection, leads: Iterable[Lead], conversations: Iterable[Lead] = ()) -> list[LeadChanged]:
        """Publish the facts of these leads, and of those that these conversations are about, as they are now. Call `wake_outbox` after the commit."""
        leads, conversations = sorted(leads), sorted(conversations)
        org_ids = sorted({org_id for org_id, _ in (*leads, *conversations)})
        await self._queries.share_leads(connection, org_ids=org_ids)
        models = {row["org_id"]: row for row in await rows(self._queries.models(connection, org_ids=org_ids))}
        raised = await rows(
            self._queries.raise_versions(
                connection, lead_orgs=_first(leads), lead_ids=_second(leads), conversation_orgs=_first(conversations),
                conversation_ids=_second(conversations), model_orgs=list(models), model_versions=[m["model_version"] for m in models.values()],
            )
        )  # fmt: skip
        known = self._queries.facts(
            connection, org_ids=[r["org_id"] for r in raised], ids=[r["id"] for r in raised], versions=[r["facts_version"] for r in raised]
        )
        changes = []
        async for row in known:
            model = models[row["org_id"]]
            changes.append(lead_changed(row, model["model_version"], model["scoring"]))
        await self._outbox.add(connection, [_outgoing(change) for change in changes])
        LEADS_PUBLISHED.inc(len(changes))
        return changes

    def wake_outbox(self) -> None:
        self._outbox.wake()

    async def _take(self, connection: Connection) -> Sequence[asyncpg.Record]:
        org_ids = await self._organisations(connection, self._after)
        if not org_ids and self._after:
            org_ids = await self._organisations(connection, "")
        if not org_ids:
            return []
        self._after = org_ids[-1] if len(org_ids) == ORGANISATIONS_MAX else ""
        return await rows(self._queries.take_touches(connection, org_ids=org_ids, each=max(1, NOTES_MAX // len(org_ids))))

    async def _organisations(self, connection: Connection, after: str) -> list[str]:
        return [row["org_id"] for row in await rows(self._queries.touched_organisations(connection, after=after, count=ORGANISATIONS_MAX))]

    async def _wait(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(POLL_SECONDS):
                await self._wake.wait()
        self._wake.clear()


def _outgoing(change: LeadChanged) -> Outgoing:
    key = f"{change.org_id}/{change.lead_id}"
    return internal(LEAD_CHANGES, key, change, f"{key}/{change.facts_version}")


def _first(pairs: Iterable[Lead]) -> list[str]:
    return [first for first, _ in pairs]


def _second(pairs: Iterable[Lead]) -> list[str]:
    return [second for _, second in pairs]
