"""A Kafka producer that says when it can't go on.

aiokafka numbers what an idempotent producer sends, and gives up what the broker doesn't take in time. The number is used up by then, so after an outage
longer than that the broker refuses everything behind it as out of order, for ever. Nothing was lost: who sends (an outbox, a consumer) still has the
message. But only another producer can send it.
"""

import asyncio
from collections.abc import Callable
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import InvalidProducerEpoch, InvalidProducerIdMapping, OutOfOrderSequenceNumber, ProducerFenced, UnknownProducerId

from shared.brokers import Brokers

_LOST = (OutOfOrderSequenceNumber, UnknownProducerId, InvalidProducerEpoch, InvalidProducerIdMapping, ProducerFenced)


class Producer(AIOKafkaProducer):  # type: ignore[misc]
    """`on_lost` hears of the first error after which nothing more can be sent; a service ends by it, and starts anew."""

    on_lost: Callable[[BaseException], None] | None = None

    def __init__(self, brokers: Brokers, **options: Any) -> None:
        super().__init__(**brokers.client, **options)
        self.brokers = brokers

    async def send(self, *arguments: Any, **options: Any) -> asyncio.Future[Any]:
        sent: asyncio.Future[Any] = await super().send(*arguments, **options)
        sent.add_done_callback(self._look)
        return sent

    def _look(self, sent: asyncio.Future[Any]) -> None:
        if not sent.cancelled() and isinstance(error := sent.exception(), _LOST) and self.on_lost is not None:
            on_lost, self.on_lost = self.on_lost, None
            on_lost(error)
