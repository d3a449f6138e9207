"""The topic `records`: while one batch is written, the next is read. Offsets are acknowledged in order, after the commit and after the
broker has the dead letters. A process has a few lanes, each a consumer of its own in the group, so that they write side by side.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import groupby
from operator import attrgetter
from typing import Any
from uuid import UUID

import structlog
from aiokafka import ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError
from faststream.kafka import KafkaBroker, KafkaMessage

from services.ingest import avro
from services.ingest.batch import UnknownOrganisation
from services.ingest.core.positions import Stretch
from services.ingest.core.records import Record, decode
from services.ingest.metrics import BATCH_SECONDS, RECORDS
from services.ingest.store import Store
from shared import metrics
from shared.consumer import DeadLetters, incoming, persist
from shared.errors import PermanentError
from shared.observability import span
from shared.stopping import Stopping, is_stopping, pause
from shared.subscribing import register
from shared.topics import RECORDS as TOPIC
from shared.topics import group_of

log = structlog.get_logger()
LANES = 2  # consumers of a process: one's write goes on while the other commits, or reads
READ_AT_ONCE = 250  # records read before the loop is given back, so that the writes under way go on
FETCH_BYTES_MAX = 4 << 20
JSON, AVRO = "application/json", "application/avro"

Acknowledge = Callable[[dict[TopicPartition, int]], Awaitable[None]]
Refused = list[tuple[Any, PermanentError]]  # aiokafka's record and the reason


@dataclass
class Read:
    """One partition's share of a batch. `good` are the records with their messages, in order."""

    partition: int
    next_offset: int
    good: list[tuple[Record, Any]] = field(default_factory=list)
    refused: Refused = field(default_factory=list)

    def stretch(self) -> Stretch:
        return Stretch(self.partition, self.next_offset, [m.offset for _, m in self.good], [record for record, _ in self.good])

    def refuse(self, org_id: str, problem: PermanentError) -> None:
        """Move an organisation's records to the refused ones."""
        self.refused += [(message, problem) for record, message in self.good if record.org_id == org_id]
        self.good = [(record, message) for record, message in self.good if record.org_id != org_id]


class TopicMadeAnew(Exception):
    """The topic was deleted and made again: nothing that this process remembers of it holds any more, so it has to start again."""


class Topic:
    """The topic's id, as it was when this process began to read it."""

    def __init__(self, find: Callable[[], Awaitable[UUID]]) -> None:
        self._find, self._id = find, UUID(int=0)

    async def id(self) -> UUID:
        if not self._id.int:
            await self.check()
        return self._id

    async def check(self) -> None:
        """Raises TopicMadeAnew, TransientError."""
        found = await self._find()
        if self._id.int and found != self._id:
            raise TopicMadeAnew(TOPIC)
        self._id = found


class Lane:
    """One consumer's batches, one after the other, with one write in flight."""

    def __init__(self, store: Store, dead_letters: DeadLetters, topic: Topic, fail: Callable[[BaseException], None]) -> None:
        self._store, self._dead_letters, self._topic, self._fail = store, dead_letters, topic, fail
        self._writing: asyncio.Task[None] | None = None

    async def take(self, messages: Sequence[Any], acknowledge: Acknowledge) -> None:
        """Read a batch, wait for the one before, and start to write this one."""
        reads = [await _read(partition, list(some)) for partition, some in groupby(messages, attrgetter("partition"))]
        await self.settle()
        if is_stopping():
            return  # they come again, to whoever goes on: what came before them may have been given back
        self._writing = asyncio.create_task(self._measured(self._write(reads, acknowledge)))

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

    async def _write(self, reads: Sequence[Read], acknowledge: Acknowledge) -> None:
        async def keep() -> None:
            await self._dead_letters.keep_all([(incoming(message), error) for message, error in refused])

        handled = sum([len(read.good) + len(read.refused) for read in reads])
        await persist(lambda: self._store_known(reads), topic=TOPIC, partitions=[read.partition for read in reads])
        if refused := [one for read in reads for one in read.refused]:
            await self._dead_letters.admit(TOPIC, len(refused), handled)
            await persist(keep, topic=TOPIC, records=len(refused))
            RECORDS.labels("refused").inc(len(refused))
            log.warning("dead_letters", topic=TOPIC, records=len(refused), codes=sorted({error.code for _, error in refused}))
        else:
            self._dead_letters.handled(TOPIC, handled)
        await acknowledge({TopicPartition(TOPIC, read.partition): read.next_offset for read in reads})
        metrics.MESSAGES.labels(TOPIC).inc(handled)

    async def _store_known(self, reads: Sequence[Read]) -> None:
        """Write what belongs to an organisation that exists; the rest joins the refused."""
        while True:
            try:
                written = await self._store.write_stretches(await self._topic.id(), [read.stretch() for read in reads])
            except UnknownOrganisation as unknown:
                problem = PermanentError("unknown_organisation", "no such organisation", "org_id")
                for read in reads:
                    read.refuse(unknown.org_id, problem)
            else:
                if written.repeated:
                    await self._topic.check()  # before they are acknowledged: in a topic made anew they would be new
                    log.info("written_before", topic=TOPIC, records=written.repeated)
                return


async def _read(partition: int, messages: Sequence[Any]) -> Read:
    read = Read(partition, messages[-1].offset + 1)
    for start in range(0, len(messages), READ_AT_ONCE):
        for message in messages[start : start + READ_AT_ONCE]:
            try:
                read.good.append((_record(message), message))
            except PermanentError as error:
                read.refused.append((message, error))
        await asyncio.sleep(0)
    return read


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


def subscribe_records(
    broker: KafkaBroker, lane: Lane, records_max: int, fail: Callable[[BaseException], None], session_seconds: float
) -> None:
    """Register a lane for the topic `records`."""

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

    batch = {
        "batch": True,
        "max_records": records_max,
        "batch_timeout_ms": 100,
        "listener": _SettleFirst(lane),
        "max_partition_fetch_bytes": FETCH_BYTES_MAX,
    }
    register(broker, consume, TOPIC, group_of(TOPIC, "ingest"), session_seconds, batch)
