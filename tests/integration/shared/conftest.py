"""A topic of its own for a test, with one for its dead letters, and a producer."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from shared.brokers import Brokers
from shared.consumer import Incoming
from shared.runtime import create_producer
from tests.conftest import Stack


@pytest.fixture
async def topic(stack: Stack) -> str:
    name = f"test-{secrets.token_hex(4)}"
    admin = AIOKafkaAdminClient(bootstrap_servers=stack.kafka)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(name, 1, 1), NewTopic(f"{name}-dlq", 1, 1)])
    finally:
        await admin.close()
    return name


@pytest.fixture
async def producer(stack: Stack) -> AsyncIterator[AIOKafkaProducer]:
    made = create_producer(Brokers(stack.kafka), "test")
    await made.start()
    yield made
    await made.stop()


async def read(stack: Stack, topic: str, count: int) -> list[Incoming]:
    consumer = AIOKafkaConsumer(topic, bootstrap_servers=stack.kafka, auto_offset_reset="earliest")
    await consumer.start()
    try:
        async with asyncio.timeout(30):
            got = [await consumer.getone() for _ in range(count)]
    finally:
        await consumer.stop()
    return [Incoming(r.topic, r.partition, r.offset, r.key, r.value, tuple(r.headers)) for r in got]


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0)
