"""The topic `records`: while one batch is written, the next is read. Offsets are acknowledged in order, after the commit and after the
broker has the dead letters."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import suppress
from typing import Any

import structlog
from aiokafka import ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError
from faststream import AckPolicy
from faststream.kafka import KafkaBroker, KafkaMessage

from services.ingest import avro
from services.ingest.core.records import Record, decode
from services.ingest.metrics import BATCH_SECONDS, RECORDS
from services.ingest.store import Store, UnknownOrganisation
from shared import metrics
from shared.consumer import DeadLetters, incoming, persist, raw_message
from shared.errors import PermanentError
from shared.observability import span
from shared.stopping import Stopping, is_stopping, pause
from shared.topics import RECORDS as TOPIC

log = structlog.get_logger()
GROUP = "waybill-ingest"
READ_AT_ONCE = 250  # records read before the loop is given back, so that the write under way goes on
FETCH_BYTES_MAX = 4 << 20
JSON, AVRO = "application/json", "application/avro"

Refused = list[tuple[Any, PermanentError]]  # aiokafka's record and the reason


class Lane:
    """One consumer's batches, one after the other, with one write in flight."""

    def __init__(self, store: Store, dead_letters: DeadLetters, fail: Callable[[BaseException], None]) -> None:
        self._store, self._dead_letters, self._fail = store, dead_letters, fail
        self._writing: asyncio.Task[None] | None = None

    async def take(self, messages: Sequence[Any], acknowledge: Callable[[dict[TopicPartition, int]], Awaitable[None]]) -> None:
        """Read a batch, wait for the one before, and start to write this one."""
        good, refused = await _read(messages)
        await self.settle()
        if is_stopping():
            return  # they come again, to whoever goes on: what came before them may have been given back
        self._writing = asyncio.create_task(self._measured(self._write(messages, good, refused, acknowledge)))

    async def settle(self) -> None:
        """Returns once nothing is in flight; after a defect, or where a dependency is away, when the process ends: then what is in hand is given back."""
        if self._writing is None:
            return
        with suppress(Stopping):
            try:
                await asyncio.shield(self._writing)
            except Stopping:
                raise
            except Exception as error:
                self._fail(error)
                await pause(None)

    async def _measured(self, write: Coroutine[Any, Any, None]) -> None:
        with BATCH_SECONDS.time(), span(f"{TOPIC} receive"):
            await write

    async def _write(
        self,
        messages: Sequence[Any],
        good: list[tuple[Record, Any]],
        refused: Refused,
        acknowledge: Callable[[dict[TopicPartition, int]], Awaitable[None]],
    ) -> None:
        async def write() -> None:
            await self._store_known(good, refused)

        async def keep() -> None:
            await self._dead_letters.keep_all([(incoming(message), error) for message, error in refused])

        await persist(write, topic=TOPIC, records=len(messages))
        if refused:
            await self._dead_letters.admit(TOPIC, len(refused), len(messages))
            await persist(keep, topic=TOPIC, records=len(refused))
            RECORDS.labels("refused").inc(len(refused))
            log.warning("dead_letters", topic=TOPIC, records=len(refused), codes=sorted({error.code for _, error in refused}))
        else:
            self._dead_letters.handled(TOPIC, len(messages))
        await acknowledge({TopicPartition(m.topic, m.partition): m.offset + 1 for m in messages})
        metrics.MESSAGES.labels(TOPIC).inc(len(messages))

    async def _store_known(self, good: list[tuple[Record, Any]], refused: Refused) -> None:
        """Write what belongs to an organisation that exists; the rest joins `refused`."""
        while good:
            try:
                await self._store.write([record for record, _ in good])
                return
            except UnknownOrganisation as unknown:
                problem = PermanentError("unknown_organisation", "no such organisation", "org_id")
                refused += [(message, problem) for record, message in good if record.org_id == unknown.org_id]
                good[:] = [(record, message) for record, message in good if record.org_id != unknown.org_id]


async def _read(messages: Sequence[Any]) -> tuple[list[tuple[Record, Any]], Refused]:
    good: list[tuple[Record, Any]] = []
    refused: Refused = []
    for start in range(0, len(messages), READ_AT_ONCE):
        for message in messages[start : start + READ_AT_ONCE]:
            try:
                good.append((_record(message), message))
            except PermanentError as error:
                refused.append((message, error))
        await asyncio.sleep(0)
    return good, refused


def _record(message: Any) -> Record:
    value = message.value or b""
    record = decode(_as_json(value, message) if message.headers else value)
    if record.org_id is None:
        raise PermanentError("missing_field", "is required", "org_id")
    if message.key != f"{record.org_id}/{record.type}/{record.id}".encode():
        raise PermanentError("key_mismatch", "the message's key must be <org_id>/<type>/<id> of the record", "key")
    return record


def _as_json(value: bytes, message: Any) -> bytes:
    header = next((v or b"" for name, v in message.headers if name == "content-type"), b"")
    content_type = header.decode("utf-8", "replace").partition(";")[0].strip().lower()
    if content_type == AVRO:
        return avro.as_json(value)
    if content_type not in ("", JSON):
        raise PermanentError("undecodable", f"the header content-type must be {JSON} or {AVRO}", "content-type")
    return value


class _SettleFirst(ConsumerRebalanceListener):  # type: ignore[misc]
    """Partitions go to another consumer only after what was taken from them is written and acknowledged."""

    def __init__(self, lane: Lane) -> None:
        self._lane = lane

    async def on_partitions_revoked(self, revoked: Any) -> None:
        await self._lane.settle()

    async def on_partitions_assigned(self, assigned: Any) -> None:
        log.info("partitions_assigned", partitions=sorted(p.partition for p in assigned))


def subscribe_records(broker: KafkaBroker, lane: Lane, records_max: int, fail: Callable[[BaseException], None]) -> None:
    """Register the lane for the topic `records`."""

    async def consume(message: KafkaMessage) -> None:
        consumer: Any = message.consumer

        async def acknowledge(offsets: dict[TopicPartition, int]) -> None:
            try:
                await consumer.commit(offsets)
            except (CommitFailedError, IllegalStateError, KafkaError) as error:
                log.warning("not_acknowledged", reason=type(error).__name__)  # the records come again, and repeat what is held

        with suppress(Stopping):
            try:
                await lane.take(message.raw_message, acknowledge)
            except Stopping:
                raise
            except Exception as error:
                fail(error)
                await pause(None)  # take nothing more: the process is ending

    async def parse(records: Any) -> KafkaMessage:
        return raw_message(records, subscriber.consumer)

    async def decode_nothing(message: Any) -> Any:
        return message.body

    subscriber: Any = broker.subscriber(
        TOPIC,
        group_id=GROUP,
        batch=True,
        max_records=records_max,
        batch_timeout_ms=100,
        ack_policy=AckPolicy.MANUAL,
        auto_offset_reset="earliest",
        parser=parse,
        decoder=decode_nothing,
        listener=_SettleFirst(lane),
        max_partition_fetch_bytes=FETCH_BYTES_MAX,
        max_poll_interval_ms=1_800_000,
    )
    subscriber(consume)
