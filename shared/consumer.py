"""How every service takes messages from Kafka: at least once, one message at a time, nothing lost.

A handler raises TransientError: the same message is tried again in place, with growing delays. PermanentError: the message goes to its
dead-letter topic with the reason, and is acknowledged once the broker has it. Anything else is a defect: the process ends without an
acknowledgement, and the message comes again; at the third time it is a dead letter (shared/defects.py). FastStream's policies other than MANUAL commit before the work or skip what fails.

Where too many messages become dead letters (shared/dead_letter_limit.py) the consumer halts: it keeps no more of them, acknowledges nothing,
and waits for an operator, who mends the cause and starts the process again.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, MessageSizeTooLargeError
from faststream.kafka import KafkaMessage
from faststream.kafka.message import KafkaAckableMessage

from shared import metrics
from shared.dead_letter_limit import Limit, Window, count, too_many
from shared.errors import PermanentError, TransientError
from shared.observability import current_traceparent
from shared.stopping import pause
from shared.topics import dead_letters_of

log = structlog.get_logger()
CUT_BYTES = 256 * 1024
ERROR_HEADERS = ("error-code", "error-message", "error-field", "original-topic", "original-partition", "original-offset")


@dataclass(frozen=True)
class Incoming:
    """A message as it lies in Kafka."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes
    headers: tuple[tuple[str, bytes], ...]

    def header(self, name: str) -> str:
        """The header's text; empty where it is missing."""
        return next(((value or b"").decode("utf-8", "replace") for key, value in self.headers if key == name), "")

    @property
    def message_id(self) -> str:
        """What the inbox claims: the sender's message id, else the message's place in Kafka."""
        return self.header("message-id") or f"{self.topic}/{self.partition}/{self.offset}"


def retry_delay_seconds(attempt: int) -> float:
    """How long to wait before trying a passing error again: 0.2 s doubling to 5 s. `attempt` counts from 1."""
    return float(min(5.0, 0.2 * 2 ** min(attempt - 1, 10)))


class Halts:
    """Which topics' consumers have halted, for /health/ready."""

    def __init__(self) -> None:
        self._since: dict[str, float] = {}

    def add(self, topic: str) -> None:
        self._since.setdefault(topic, time.time())
        metrics.HALTED.labels(topic).set(1)

    def down(self) -> dict[str, str]:
        return {topic: "halted: too many dead letters" for topic in self._since}


class DeadLetters:
    """Keeps what can't be handled: the original bytes, key and headers, and the reason; up to a limit, one window for each topic."""

    def __init__(
        self, producer: AIOKafkaProducer, limit: Limit | None = None, halts: Halts | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:  # fmt: skip
        self._producer, self._limit, self._clock = producer, limit or Limit(), clock
        self._halts = halts or Halts()
        self._windows: dict[str, Window] = {}

    def handled(self, topic: str, messages: int = 1) -> None:
        """Messages that were handled well: dead letters are seen in proportion to them."""
        self._windows[topic] = count(self._windows.get(topic, Window()), self._limit, self._clock(), messages, 0)

    async def admit(self, topic: str, letters: int = 1, handled: int | None = None) -> None:
        """Count letters that are about to be kept, of `handled` messages. Where they are too many, this doesn't return: the consumer has halted.

        Raises Stopping when the process ends.
        """
        window = count(self._windows.get(topic, Window()), self._limit, self._clock(), letters if handled is None else handled, letters)
        if too_many(window, self._limit):
            self._halts.add(topic)
            log.critical("consumer_halted", topic=topic, letters=window.letters, handled=window.handled, limit=self._limit.letters_max)
            await pause(None)
        self._windows[topic] = window

    async def keep(self, message: Incoming, error: PermanentError) -> None:
        await self.keep_all([(message, error)])

    async def keep_all(self, refused: Sequence[tuple[Incoming, PermanentError]]) -> None:
        """Returns once the broker has all of them. Raises TransientError where Kafka is away."""
        try:
            sent = [await self._send(m, error) for m, error in refused]
            await asyncio.gather(*sent)
        except KafkaError as error:
            raise TransientError(f"Kafka: {type(error).__name__}", "Kafka") from error
        for message, reason in refused:
            metrics.DEAD_LETTERS.labels(message.topic, reason.code).inc()

    async def _send(self, m: Incoming, error: PermanentError) -> Any:
        """Hand it to the producer. What can't be sent whole (a batch may unpack to more than a topic takes) is cut, and says so."""
        topic, headers = dead_letters_of(m.topic), [*m.headers, *_trace(m), *_reason(m, error)]
        try:
            return await self._producer.send(topic, value=m.value, key=m.key, headers=headers)
        except MessageSizeTooLargeError:
            cut = [*_trace(m), *_reason(m, error), ("original-bytes", str(len(m.value)).encode())]
            log.error("dead_letter_cut", topic=m.topic, partition=m.partition, offset=m.offset, bytes=len(m.value))
            return await self._producer.send(topic, value=m.value[:CUT_BYTES], key=(m.key or b"")[:CUT_BYTES] or None, headers=cut)


def _reason(message: Incoming, error: PermanentError) -> list[tuple[str, bytes]]:
    values = (error.code, error.message, error.field, message.topic, str(message.partition), str(message.offset))
    return [(name, value.encode()[:1000]) for name, value in zip(ERROR_HEADERS, values, strict=True)]


def _trace(message: Incoming) -> list[tuple[str, bytes]]:
    """Where the message brought no trace, the one in which it was refused."""
    trace = current_traceparent()
    return [("traceparent", trace.encode())] if trace and not message.header("traceparent") else []


def incoming(record: Any) -> Incoming:
    """An aiokafka ConsumerRecord as an Incoming."""
    return Incoming(record.topic, record.partition, record.offset, record.key, record.value or b"", tuple(record.headers))


async def persist(work: Callable[[], Awaitable[None]], **context: Any) -> None:
    """Do `work` until no passing error stops it. Raises Stopping where the process ends while it waits."""
    attempt = 0
    while True:
        try:
            return await work()
        except TransientError as error:
            attempt += 1
            metrics.RETRIES.labels(str(context.get("topic", "")), error.dependency).inc()
            log.warning("waits_for_dependency", dependency=error.dependency, attempt=attempt, reason=str(error), **context)
            await pause(retry_delay_seconds(attempt))


def timing(session_seconds: float) -> dict[str, Any]:
    """A consumer's options for how long Kafka waits for a sign of life; a handler that waits for a dependency is alive.

    `consumer_timeout_ms`: how often aiokafka looks for something to fetch where nothing has happened; all that can happen wakes it too.
    """
    milliseconds = round(session_seconds * 1000)
    life = {"session_timeout_ms": milliseconds, "heartbeat_interval_ms": milliseconds // 3, "max_poll_interval_ms": 1_800_000}
    return life | {"consumer_timeout_ms": 5_000}


def raw_message(record: Any, consumer: Any) -> KafkaMessage:
    """FastStream's message around a record, or a batch of them, without a look inside: its own parser decodes the headers as UTF-8, and a
    message whose headers are something else would be skipped before the handler sees it."""
    return KafkaAckableMessage(body=b"", headers={}, raw_message=record, consumer=consumer)
