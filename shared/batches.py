"""Topics whose messages are handled many at a time, in one transaction: the same promises as shared/consumer.py makes for one.

A batch that a defect meets is taken apart, so that only the message that brings it on is held back and counted.
"""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any

import structlog
from aiokafka import TopicPartition
from aiokafka.errors import IllegalStateError, KafkaError
from faststream import AckPolicy
from faststream.kafka import KafkaBroker, KafkaMessage

from shared import metrics
from shared.consumer import DeadLetters, Incoming, incoming, persist, raw_message, timing
from shared.defects import given_up
from shared.errors import PermanentError
from shared.observability import span
from shared.stopping import Stopping, is_stopping, pause

log = structlog.get_logger()

# Handles the messages, each once however often it comes, and gives back those that are to become dead letters. Raises TransientError: all of them are tried again.
BatchHandler = Callable[[Sequence[Incoming]], Awaitable[list[tuple[Incoming, PermanentError]]]]


def subscribe_batches(
    broker: KafkaBroker, topic: str, group: str, handle: BatchHandler, dead_letters: DeadLetters, fail: Callable[[BaseException], None],
    messages_max: int = 500, session_seconds: float = 10, **options: Any,
) -> None:  # fmt: skip
    """Register `handle` for a topic: what has come, up to `messages_max`, is one batch. `fail` ends the process (Service.fail)."""

    async def work(batch: Sequence[Incoming]) -> None:
        refused = await handle(batch)
        if refused:
            await give_up(refused, len(batch))
        else:
            dead_letters.handled(topic, len(batch))

    async def give_up(refused: list[tuple[Incoming, PermanentError]], handled: int) -> None:
        await dead_letters.admit(topic, len(refused), handled)
        log.error("dead_letters", topic=topic, letters=len(refused), codes=sorted({error.code for _, error in refused}))
        await persist(lambda: dead_letters.keep_all(refused), topic=topic, letters=len(refused))

    async def take(consumer: Any, batch: Sequence[Incoming]) -> None:
        """Handle and acknowledge; in the middle of which the process may have to end, by Stopping or by `fail`."""
        try:
            await persist(lambda: work(batch), topic=topic, messages=len(batch))
        except Stopping:
            raise
        except Exception as error:
            if len(batch) > 1:
                log.warning("batch_taken_apart", topic=topic, messages=len(batch), exc_info=error)
                for message in batch:
                    await take(consumer, [message])
                return
            await defect(consumer, batch[0], error)
        await acknowledge(consumer, batch)
        metrics.MESSAGES.labels(topic).inc(len(batch))

    async def defect(consumer: Any, message: Incoming, error: Exception) -> None:
        refusal: PermanentError | None = None
        with suppress(KafkaError):
            refusal = await given_up(consumer, TopicPartition(topic, message.partition), message.offset, error)
        if refusal is None:
            fail(error)
            await pause(None)  # take nothing more
            return
        log.error("defect", topic=topic, partition=message.partition, offset=message.offset, exc_info=error)
        await give_up([(message, refusal)], 1)

    async def acknowledge(consumer: Any, batch: Sequence[Incoming]) -> None:
        try:
            await consumer.commit({TopicPartition(topic, m.partition): m.offset + 1 for m in batch})  # in order: the last one counts
        except (IllegalStateError, KafkaError) as error:
            log.warning("not_acknowledged", topic=topic, reason=type(error).__name__)  # they come again, and have no effect then

    async def consume(message: KafkaMessage) -> None:
        if is_stopping():
            return
        with metrics.HANDLING.labels(topic).time(), span(f"{topic} receive"), suppress(Stopping):
            await take(message.consumer, [incoming(record) for record in message.raw_message])

    async def parse(records: Any) -> KafkaMessage:
        return raw_message(records, subscriber.consumer)

    async def as_it_is(message: Any) -> Any:
        return message.body

    subscriber: Any = broker.subscriber(
        topic, group_id=group, batch=True, max_records=messages_max, batch_timeout_ms=100, ack_policy=AckPolicy.MANUAL,
        auto_offset_reset="earliest", parser=parse, decoder=as_it_is, **timing(session_seconds), **options,
    )  # fmt: skip
    subscriber(consume)
