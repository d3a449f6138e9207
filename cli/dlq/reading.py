"""Reading dead-letter topics: what lies there, and what was sent again already."""

import contextlib
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from cli.core.letters import SUFFIX, Letter, letter_of
from cli.core.memory import Memory, parse
from cli.errors import CliError, UsageError
from cli.kafka import reachable
from shared.brokers import Brokers

GROUP = "waybill-dlq-replay"
FETCH_SECONDS = 20


@dataclass(frozen=True)
class Partition:
    """One partition's bounds, [start, end), and what of it was sent again."""

    place: TopicPartition
    start: int
    end: int
    memory: Memory

    @property
    def depth(self) -> int:
        return self.end - self.start

    @property
    def waiting(self) -> int:
        return self.depth - self.memory.count_within(self.start, self.end)


def group_of(topic: str) -> str:
    """The consumer group that remembers what of `topic` was sent again."""
    return f"{GROUP}-{topic}"


@contextlib.asynccontextmanager
async def consumer_of(brokers: Brokers, group: str | None = None) -> AsyncIterator[AIOKafkaConsumer]:
    """A started consumer that is assigned by hand and commits nothing by itself."""
    await reachable(brokers)
    consumer = AIOKafkaConsumer(
        **brokers.client, group_id=group, enable_auto_commit=False, auto_offset_reset="earliest",
        max_partition_fetch_bytes=4 * 1024 * 1024, isolation_level="read_committed",
    )  # fmt: skip
    try:
        await consumer.start()
        yield consumer
    except KafkaError as error:
        raise CliError(f"WAYBILL_KAFKA: {brokers}: {error}", "kafka") from None
    finally:
        await consumer.stop()


async def dead_letter_topics(consumer: AIOKafkaConsumer) -> list[str]:
    return sorted(name for name in await consumer.topics() if name.endswith(SUFFIX))


async def partitions_of(brokers: Brokers, consumer: AIOKafkaConsumer, topic: str) -> list[Partition]:
    """Bounds and memory of every partition. Raises UsageError for a topic that isn't one of dead letters."""
    if not topic.endswith(SUFFIX):
        raise UsageError(f"TOPIC: '{topic}' holds no dead letters: their topics end in {SUFFIX}.")
    numbers, remembered = await _known(brokers, topic)
    if not numbers:
        raise CliError(f"TOPIC: '{topic}' is not there; `waybill dlq list` shows which are.", "unknown_topic")
    places = [TopicPartition(topic, number) for number in numbers]
    starts, ends = await consumer.beginning_offsets(places), await consumer.end_offsets(places)
    return [Partition(p, starts[p], ends[p], remembered.get(p, Memory(0)).from_start(starts[p])) for p in places]


async def _known(brokers: Brokers, topic: str) -> tuple[list[int], dict[TopicPartition, Memory]]:
    """The topic's partitions, none where it isn't there, and what its group remembers of them."""
    admin = AIOKafkaAdminClient(**brokers.client)
    try:
        await admin.start()
        described = await admin.describe_topics([topic])
        numbers = sorted(each["partition"] for row in described for each in row["partitions"])
        held = await admin.list_consumer_group_offsets(group_of(topic)) if numbers else {}
    finally:
        await admin.close()
    return numbers, {place: parse(kept.offset, kept.metadata) for place, kept in held.items() if place.topic == topic}


async def letters(brokers: Brokers, partition: Partition, first: int | None = None) -> AsyncGenerator[Letter]:
    """The letters of one partition from offset `first` on, in order, up to its end as it was when looked at.

    Each partition has a consumer of its own: one that is assigned anew while it coordinates fails now and then.
    """
    start = max(partition.start, first or 0)
    if start >= partition.end:
        return
    async with consumer_of(brokers) as consumer:
        consumer.assign([partition.place])
        consumer.seek(partition.place, start)
        while True:
            fetched = await consumer.getmany(partition.place, timeout_ms=FETCH_SECONDS * 1000)
            records = fetched.get(partition.place, [])
            for record in records:
                if record.offset >= partition.end:
                    return
                yield letter_of(record)
            # Offsets may have gaps (aborted or compacted): the position says when the end is reached, not the last record.
            if await consumer.position(partition.place) >= partition.end:
                return
            if not records:
                raise CliError(f"{partition.place.topic}: nothing came for {FETCH_SECONDS} s.", "kafka")
