"""Topics as schemas/topics/*.yaml says: created where missing, partitions and limits altered where they differ."""

import asyncio
from collections.abc import Callable

from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError

from deploy.local.errors import StackError
from shared.brokers import Brokers
from shared.reach import quiet, why_not
from shared.topics import Topic, all_topics

Say = Callable[[str], None]


def configuration_of(topic: Topic) -> dict[str, str]:
    """The broker's settings for a topic. Kafka deletes by segments, once all of one is old enough: a message is gone by the end of the topic's time because
    segments are short, and are kept for two of them less."""
    whole = topic.retention_hours * 3_600_000
    segment = whole // 28
    return {"retention.ms": str(whole - 2 * segment), "segment.ms": str(segment), "max.message.bytes": str(topic.max_message_bytes)}


def ready(brokers: Brokers) -> str | None:
    """None when the broker answers a request for metadata, else why not."""

    async def ask() -> str | None:
        if why := await why_not(brokers):
            return why
        admin = AIOKafkaAdminClient(**brokers.client, request_timeout_ms=2000)
        try:
            await admin.start()
        except (KafkaError, OSError, TimeoutError) as error:
            return str(error) or type(error).__name__
        finally:
            await admin.close()
        return None

    quiet()
    why = asyncio.run(ask())
    return why and f"Kafka at {brokers} does not answer ({why})"


def apply(brokers: Brokers, say: Say) -> None:
    """Make the broker's topics be what the files say. Raises StackError where Kafka can't: partitions are never taken away."""
    asyncio.run(_apply(brokers, all_topics(), say))


async def _apply(brokers: Brokers, topics: dict[str, Topic], say: Say) -> None:
    admin = AIOKafkaAdminClient(**brokers.client)
    await admin.start()
    try:
        existing = set(await admin.list_topics())
        missing = [topic for name, topic in topics.items() if name not in existing]
        if missing:
            await _create(admin, missing)
            say(f"created {len(missing)} topics: {', '.join(topic.name for topic in missing)}")
        kept = [topic for name, topic in topics.items() if name in existing]
        if kept:
            await _widen(admin, kept, say)
            await _reconfigure(admin, kept, say)
    finally:
        await admin.close()


def _raise(what: str, errors: list[tuple[str, int, str | None]]) -> None:
    for name, code, message in errors:
        if code:
            raise StackError(f"{what} {name}: Kafka says {message or code}")


async def _create(admin: AIOKafkaAdminClient, missing: list[Topic]) -> None:
    new = [NewTopic(t.name, num_partitions=t.partitions, replication_factor=1, topic_configs=configuration_of(t)) for t in missing]
    answer = await admin.create_topics(new)
    _raise("can't create topic", [(row[0], row[1], row[2] if len(row) > 2 else None) for row in answer.topic_errors])


async def _widen(admin: AIOKafkaAdminClient, kept: list[Topic], say: Say) -> None:
    described = {row["topic"]: len(row["partitions"]) for row in await admin.describe_topics([topic.name for topic in kept])}
    for topic in kept:
        has = described[topic.name]
        if has > topic.partitions:
            raise StackError(f"topic {topic.name} has {has} partitions and its file says {topic.partitions}: Kafka can't take any away")
        if has < topic.partitions:
            answer = await admin.create_partitions({topic.name: NewPartitions(topic.partitions)})
            _raise("can't add partitions to", [(row[0], row[1], row[2]) for row in answer.topic_errors])
            say(f"topic {topic.name}: {has} → {topic.partitions} partitions")


async def _reconfigure(admin: AIOKafkaAdminClient, kept: list[Topic], say: Say) -> None:
    resources = [ConfigResource(ConfigResourceType.TOPIC, topic.name) for topic in kept]
    found: dict[str, dict[str, str]] = {}
    for answer in await admin.describe_configs(resources):
        for _code, _message, _type, name, entries in answer.resources:
            found[name] = {entry[0]: entry[1] for entry in entries}
    for topic in kept:
        wanted = configuration_of(topic)
        differing = {key: value for key, value in wanted.items() if found[topic.name].get(key) != value}
        if differing:
            await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic.name, configs=wanted)])
            say(f"topic {topic.name}: {', '.join(f'{key}={value}' for key, value in differing.items())}")
