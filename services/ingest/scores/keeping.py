"""Scores as they come on lead-scores: the newest of each lead is kept, in whatever order and however often they come."""

import json
from collections.abc import Sequence
from typing import Any

import asyncpg

from services.ingest.metrics import SCORES_KEPT
from services.ingest.scores.publishing import as_scorer
from services.ingest.scores.queries import load
from shared.codec import decode
from shared.consumer import Incoming
from shared.database import tenant
from shared.errors import PermanentError
from shared.messages import LeadScored, Reason


class Scores:
    """Keeps scores, and tells them."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool, self._queries = pool, load()

    async def take(self, messages: Sequence[Incoming]) -> list[tuple[Incoming, PermanentError]]:
        """A batch of the topic. No inbox: a score that is not newer than the one held changes nothing."""
        scored: list[LeadScored] = []
        refused: list[tuple[Incoming, PermanentError]] = []
        for message in messages:
            try:
                scored.append(_read(message))
            except PermanentError as error:
                refused.append((message, error))
        await self.keep(scored)
        return refused

    async def keep(self, scored: Sequence[LeadScored]) -> int:
        """Returns how many were newer than what was held."""
        if not scored:
            return 0
        async with as_scorer(self._pool) as connection:
            await self._queries.share_leads(connection, org_ids=sorted({s.org_id for s in scored}))
            kept: int = await self._queries.keep_scores(
                connection, org_ids=[s.org_id for s in scored], ids=[s.lead_id for s in scored], versions=[s.facts_version for s in scored],
                scores=[s.score for s in scored], reasons=[_reasons(s.reasons) for s in scored], models=[s.model_version for s in scored],
            )  # fmt: skip
        SCORES_KEPT.labels("kept").inc(kept)
        SCORES_KEPT.labels("old").inc(len(scored) - kept)
        return kept

    async def progress(self, org_id: str) -> Any:
        """How many leads there are, and how many have a score by the rules of now."""
        async with tenant(self._pool, org_id, readonly=True) as connection:
            return await self._queries.progress(connection, org_id=org_id)

    async def of(self, org_id: str, lead_id: str) -> Any | None:
        """The lead's score with its reasons; null where there is no such lead."""
        async with tenant(self._pool, org_id, readonly=True) as connection:
            return await self._queries.score_of(connection, org_id=org_id, id=lead_id)


def _read(message: Incoming) -> LeadScored:
    scored = decode(message.value)
    if not isinstance(scored, LeadScored):
        raise PermanentError("undecodable", f"{type(scored).__name__} does not belong here.")
    if not 0 <= scored.score <= 100:
        raise PermanentError("invalid_value", "is not between 0 and 100", "score")
    return scored


def _reasons(reasons: Sequence[Reason]) -> str:
    """JSON text; whole numbers of points without a fraction."""
    told = [{"rule": r.rule, "points": int(r.points) if r.points.is_integer() and abs(r.points) < 2**53 else r.points} for r in reasons]
    return json.dumps(told, ensure_ascii=False, separators=(",", ":"))
