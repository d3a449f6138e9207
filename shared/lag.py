"""How far consumer groups are behind, and how much lies in topics, as the brokers say: also of groups that nobody is in at the moment."""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from shared.brokers import Brokers


@dataclass(frozen=True)
class Lag:
    """A consumer group's distance from the end of one topic, in messages."""

    group: str
    topic: str
    messages: int


class Kafka:
    """The clients that ask; start them once, and ask often."""

    def __init__(self, brokers: Brokers) -> None:
        self.admin = AIOKafkaAdminClient(**brokers.client, request_timeout_ms=5000)
        self.consumer = AIOKafkaConsumer(**brokers.client, enable_auto_commit=False, request_timeout_ms=5000)

    async def start(self) -> None:
        await self.admin.start()
        await self.consumer.start()

    async def close(self) -> None:
        await asyncio.gather(self.admin.close(), self.consumer.stop(), return_exceptions=True)

    async def groups(self) -> list[str]:
        return sorted(row[0] for row in await self.admin.list_consumer_groups())

    async def lags(self, groups: Iterable[str]) -> list[Lag]:
        """One for each group and topic that it has acknowledged something of. Raises KafkaError."""
        found: list[Lag] = []
        for name in groups:
            held = {place: kept.offset for place, kept in (await self.admin.list_consumer_group_offsets(name)).items() if kept.offset >= 0}
            ends = await self.consumer.end_offsets(list(held)) if held else {}
            by_topic: dict[str, int] = {}
            for place, offset in held.items():
                by_topic[place.topic] = by_topic.get(place.topic, 0) + max(0, ends[place] - offset)
            found += [Lag(name, topic, messages) for topic, messages in sorted(by_topic.items())]
        return found

    async def members(self, groups: Iterable[str]) -> Mapping[str, int]:
        """How many processes are in each group. Raises KafkaError."""
        found: dict[str, int] = {}
        for name in groups:  # one by one: aiokafka can't always read an answer about several
            for answer in await self.admin.describe_consumer_groups([name]):
                found |= {group[1]: len(group[5]) for group in answer.groups}
        return found

    async def kept(self, topics: Iterable[str]) -> Mapping[str, int]:
        """Messages in each topic that is there. Raises KafkaError."""
        described = await self.admin.describe_topics(list(topics))
        places = [TopicPartition(row["topic"], each["partition"]) for row in described for each in row["partitions"]]
        if not places:
            return {}
        starts, ends = await self.consumer.beginning_offsets(places), await self.consumer.end_offsets(places)
        found: dict[str, int] = {}
        for place in places:
            found[place.topic] = found.get(place.topic, 0) + ends[place] - starts[place]
        return found
