"""lead-changes to lead-scores, a batch at a time. No inbox and no outbox: a score follows from its message alone, so doing it again gives the same one, and who
keeps scores knows by facts_version which is the newest. A batch is acknowledged once the broker has all of its scores.
"""

import asyncio
from collections.abc import Sequence

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from services.lead_scoring.core.scoring import scored
from services.lead_scoring.metrics import SCORED
from shared.codec import decode, encode
from shared.consumer import Incoming
from shared.errors import PermanentError, TransientError
from shared.messages import LeadChanged, LeadScored
from shared.outbox import internal_headers
from shared.topics import LEAD_SCORES


class Scorer:
    """Handles batches of lead-changes."""

    def __init__(self, producer: AIOKafkaProducer) -> None:
        self._producer = producer

    async def __call__(self, messages: Sequence[Incoming]) -> list[tuple[Incoming, PermanentError]]:
        found: list[LeadScored] = []
        refused: list[tuple[Incoming, PermanentError]] = []
        for message in messages:
            try:
                found.append(_score(message))
            except PermanentError as error:
                refused.append((message, error))
        await self._publish(found)
        SCORED.inc(len(found))
        return refused

    async def _publish(self, found: Sequence[LeadScored]) -> None:
        try:
            sent = [await self._send(one) for one in found]
            await asyncio.gather(*sent)
        except KafkaError as error:
            raise TransientError(f"Kafka: {type(error).__name__}", "Kafka") from error

    async def _send(self, found: LeadScored) -> asyncio.Future[object]:
        key = f"{found.org_id}/{found.lead_id}"
        headers = [(name, value.encode()) for name, value in internal_headers(f"{key}/{found.facts_version}").items()]
        sent: asyncio.Future[object] = await self._producer.send(LEAD_SCORES, encode(found), key=key.encode(), headers=headers)
        return sent


def _score(message: Incoming) -> LeadScored:
    changed = decode(message.value)
    if not isinstance(changed, LeadChanged):
        raise PermanentError("undecodable", f"{type(changed).__name__} does not belong here.")
    return scored(changed)
