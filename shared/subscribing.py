"""Handlers of topics: for one message at a time, or for many in one transaction. Both come to the same steps, and to what shared/consumer.py promises.

Messages that a defect meets together are taken apart, so that only the one that brings it on is held back and counted.
"""

import re
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
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
_EXPORT_KEY = re.compile(rb"(exp_[0-9A-Za-z]{1,40})(/[0-9]{1,10})?")

Refused = list[tuple[Incoming, PermanentError]]
Handler = Callable[[Incoming], Awaitable[None]]
# Handles the messages, each once however often it comes, and gives back those that are to become dead letters. Raises TransientError: all of them are tried again.
BatchHandler = Callable[[Sequence[Incoming]], Awaitable[Refused]]
Refusal = Callable[[Incoming, PermanentError], Awaitable[None]]
Fail = Callable[[BaseException], None]


class Taking:
    """What is done with messages of a topic that come together. `fail` ends the process; `refuse` is told of a message that is about to become a dead letter."""

    def __init__(self, topic: str, handle: BatchHandler, dead_letters: DeadLetters, fail: Fail, refuse: Refusal | None = None) -> None:
        self._topic, self._handle, self._dead_letters, self._fail, self._refuse = topic, handle, dead_letters, fail, refuse

    async def take(self, consumer: Any, messages: Sequence[Incoming]) -> None:
        """Returns once they are acknowledged. Raises Stopping where the process ends meanwhile: they come again, to whoever goes on."""
        try:
            await persist(lambda: self._work(messages), **self._about(messages))
        except Stopping:
            raise
        except Exception as error:
            if len(messages) > 1:
                log.warning("batch_taken_apart", **self._about(messages), exc_info=error)
                for message in messages:
                    await self.take(consumer, [message])
                return
            await self._defect(consumer, messages[0], error)
        await self._acknowledge(consumer, messages)
        metrics.MESSAGES.labels(self._topic).inc(len(messages))

    async def _work(self, messages: Sequence[Incoming]) -> None:
        if refused := await self._handle(messages):
            await self._give_up(refused, len(messages))
        else:
            self._dead_letters.handled(self._topic, len(messages))

    async def _give_up(self, refused: Refused, handled: int) -> None:
        async def keep() -> None:
            if self._refuse is not None:
                for message, error in refused:
                    await self._refuse(message, error)
            await self._dead_letters.keep_all(refused)

        await self._dead_letters.admit(self._topic, len(refused), handled)
        about = self._about([message for message, _ in refused])
        log.error("dead_letters", **about, codes=sorted({error.code for _, error in refused}))
        await persist(keep, **about)

    async def _defect(self, consumer: Any, message: Incoming, error: Exception) -> None:
        """Returns where the message has become a dead letter; otherwise the process ends, and the message comes again."""
        refusal: PermanentError | None = None
        with suppress(KafkaError):
            refusal = await given_up(consumer, TopicPartition(self._topic, message.partition), message.offset, error)
        if refusal is None:
            self._fail(error)
            await pause(None)  # take nothing more
            return
        log.error("defect", **self._about([message]), exc_info=error)
        await self._give_up([(message, refusal)], 1)

    async def _acknowledge(self, consumer: Any, messages: Sequence[Incoming]) -> None:
        """These messages and no others: FastStream's own acknowledges whatever the consumer has reached."""
        try:
            await consumer.commit({TopicPartition(m.topic, m.partition): m.offset + 1 for m in messages})  # in order: the last one counts
        except (IllegalStateError, KafkaError) as error:
            log.warning("not_acknowledged", topic=self._topic, reason=type(error).__name__)  # they come again, and have no effect then

    def _about(self, messages: Sequence[Incoming]) -> dict[str, Any]:
        """For the log: where the message lies, or how many there are."""
        if len(messages) == 1:
            return {"topic": self._topic, "partition": messages[0].partition, "offset": messages[0].offset}
        return {"topic": self._topic, "messages": len(messages)}


def subscribe(
    broker: KafkaBroker, topic: str, group: str, handle: Handler, dead_letters: DeadLetters, fail: Fail, refuse: Refusal | None = None,
    session_seconds: float = 10, **options: Any,
) -> None:  # fmt: skip
    """Register `handle` for a topic, one message at a time (see Taking)."""

    async def one(messages: Sequence[Incoming]) -> Refused:
        try:
            await handle(messages[0])
        except PermanentError as error:
            return [(messages[0], error)]
        return []

    taking = Taking(topic, one, dead_letters, fail, refuse)

    async def consume(message: KafkaMessage) -> None:
        received = incoming(message.raw_message)
        with metrics.HANDLING.labels(topic).time(), _within(received), suppress(Stopping):
            await taking.take(message.consumer, [received])

    register(broker, consume, topic, group, session_seconds, options)


def subscribe_batches(
    broker: KafkaBroker, topic: str, group: str, handle: BatchHandler, dead_letters: DeadLetters, fail: Fail, messages_max: int = 500,
    session_seconds: float = 10, **options: Any,
) -> None:  # fmt: skip
    """Register `handle` for a topic: what has come, up to `messages_max`, is one batch (see Taking)."""
    taking = Taking(topic, handle, dead_letters, fail)

    async def consume(message: KafkaMessage) -> None:
        if is_stopping():
            return
        with metrics.HANDLING.labels(topic).time(), span(f"{topic} receive"), suppress(Stopping):
            await taking.take(message.consumer, [incoming(record) for record in message.raw_message])

    batch = {"batch": True, "max_records": messages_max, "batch_timeout_ms": 100}
    register(broker, consume, topic, group, session_seconds, batch | options)


def register(
    broker: KafkaBroker, consume: Callable[[KafkaMessage], Awaitable[None]], topic: str, group: str, session_seconds: float, options: dict[str, Any]
) -> None:  # fmt: skip
    """`consume` takes what FastStream gives it as it lies in Kafka, and acknowledges it itself."""

    async def parse(record: Any) -> KafkaMessage:
        return raw_message(record, subscriber.consumer)

    subscriber: Any = broker.subscriber(
        topic, group_id=group, ack_policy=AckPolicy.MANUAL, auto_offset_reset="earliest", parser=parse, decoder=_as_it_is,
        **timing(session_seconds), **options,
    )  # fmt: skip
    subscriber(consume)


async def _as_it_is(message: Any) -> Any:
    """No decoding by FastStream: handlers read the record itself, and a body that is not JSON must not fail before they see it."""
    return message.body


@contextmanager
def _within(message: Incoming) -> Iterator[None]:
    """The message's trace, and its export's id in every log line."""
    export = _EXPORT_KEY.fullmatch(message.key or b"")
    ids = {"export_id": export[1].decode()} if export else {}
    with structlog.contextvars.bound_contextvars(**ids), span(f"{message.topic} receive", {"traceparent": message.header("traceparent")}):
        yield
