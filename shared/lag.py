"""How far consumer groups are behind, and how much lies in topics, as the brokers say: also of groups that nobody is in at the moment."""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient


@dataclass(frozen=True)
class GroupLag:
    """A consumer group's distance from the end of one topic, in messages. `members`: how many processes are in the group."""

    group: str
    topic: str
    lag: int
    members: int


class Kafka:
    """The clients that ask; start them once, and ask often."""

    def __init__(self, bootstrap: str) -> None:
        self.admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap, request_timeout_ms=5000)
        self.consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False, request_timeout_ms=5000)

    async def start(self) -> None:
        await self.admin.start()
        await self.consumer.start()

    async def close(self) -> None:
        await asyncio.gather(self.admin.close(), self.consumer.stop(), return_exceptions=True)

    async def groups(self) -> list[str]:
        return sorted(row[0] for row in await self.admin.list_consumer_groups())

    async def lags(self, groups: Iterable[str]) -> list[GroupLag]:
        """One for each group and topic that it has acknowledged something of. Raises KafkaError."""
        names = list(groups)
        if not names:
            return []
        members = await self._members(names)
        found: list[GroupLag] = []
        for name in names:
            held = {place: kept.offset for place, kept in (await self.admin.list_consumer_group_offsets(name)).items() if kept.offset >= 0}
            ends = await self.consumer.end_offsets(list(held)) if held else {}
            by_topic: dict[str, int] = {}
            for place, offset in held.items():
                by_topic[place.topic] = by_topic.get(place.topic, 0) + max(0, ends[place] - offset)
            found += [GroupLag(name, topic, lag, members.get(name, 0)) for topic, lag in sorted(by_topic.items())]
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

    async def _members(self, groups: list[str]) -> dict[str, int]:
        answers = await self.admin.describe_consumer_groups(groups)
        return {group[1]: len(group[5]) for answer in answers for group in answer.groups}
