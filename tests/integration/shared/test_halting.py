"""A bad release can't drain a topic into its dead letters, and an ending process gives back what it waits with: on a real Kafka."""

import asyncio
import re
import secrets

from aiokafka import AIOKafkaProducer
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider

from shared import stopping
from shared.brokers import Brokers
from shared.consumer import DeadLetters, Halts, Incoming
from shared.dead_letter_limit import Limit
from shared.errors import PermanentError, TransientError
from shared.runtime import create_broker
from shared.subscribing import subscribe
from tests.conftest import Stack
from tests.integration.shared.conftest import read, until


async def refuse_all(message: Incoming) -> None:
    raise PermanentError("no_good", "It is no good.")


async def test_too_many_dead_letters_halt_the_consumer_and_nothing_is_passed_over(
    stack: Stack, producer: AIOKafkaProducer, topic: str
) -> None:
    trace.set_tracer_provider(TracerProvider())  # as a service does when it starts
    defects: list[BaseException] = []
    told: list[bytes] = []
    halts = Halts()
    for number in range(10):
        await producer.send_and_wait(topic, f"{number}".encode())

    async def tell(message: Incoming, error: PermanentError) -> None:
        told.append(message.value)

    ending = asyncio.Event()
    stopping.announce(ending)
    bad = create_broker(Brokers(stack.kafka), "test")
    subscribe(bad, topic, f"group-{topic}", refuse_all, DeadLetters(producer, Limit(3, 0.5, 300), halts), defects.append, tell)
    await bad.start()
    await until(lambda: bool(halts.down()))
    assert halts.down() == {topic: "halted: too many dead letters"}
    for subscriber in bad.subscribers:
        subscriber.running = False
    ending.set()
    async with asyncio.timeout(3):  # a halted consumer doesn't hold up the end of its process
        await bad.stop()
    stopping.announce(asyncio.Event())
    assert told == [b"0", b"1", b"2"], "who is told of a refused message hears nothing of those that were not given up"
    letters = await read(stack, f"{topic}-dlq", 3)
    assert [letter.value for letter in letters] == [b"0", b"1", b"2"]
    assert all(re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-0[0-3]", letter.header("traceparent")) for letter in letters)

    seen: list[bytes] = []

    async def mended(message: Incoming) -> None:
        seen.append(message.value)

    good = create_broker(Brokers(stack.kafka), "test")
    subscribe(good, topic, f"group-{topic}", mended, DeadLetters(producer), defects.append)
    await good.start()
    await until(lambda: len(seen) == 7)
    await good.stop()
    assert seen == [f"{n}".encode() for n in range(3, 10)], "what was in hand when it halted comes again"
    assert defects == []


async def test_some_bad_messages_among_many_good_ones_halt_nothing(stack: Stack, producer: AIOKafkaProducer, topic: str) -> None:
    halts = Halts()
    seen: list[bytes] = []

    async def handle(message: Incoming) -> None:
        if int(message.value) % 4 == 3:
            raise PermanentError("no_good", "It is no good.")
        seen.append(message.value)

    for number in range(41):
        await producer.send_and_wait(topic, f"{number}".encode())
    broker = create_broker(Brokers(stack.kafka), "test")
    subscribe(broker, topic, f"group-{topic}", handle, DeadLetters(producer, Limit(3, 0.5, 300), halts), lambda _: None)
    await broker.start()
    await until(lambda: len(seen) == 31)
    await broker.stop()
    assert halts.down() == {}
    assert len(await read(stack, f"{topic}-dlq", 10)) == 10


async def test_a_message_that_waits_for_a_dependency_goes_back_at_once_when_the_process_ends(
    stack: Stack, producer: AIOKafkaProducer, topic: str
) -> None:
    waiting = asyncio.Event()

    async def away(message: Incoming) -> None:
        waiting.set()
        raise TransientError("away", "something")

    await producer.send_and_wait(topic, b"1")
    await producer.send_and_wait(topic, b"2")
    ending = asyncio.Event()
    stopping.announce(ending)
    broker = create_broker(Brokers(stack.kafka), "test")
    subscribe(broker, topic, f"group-{topic}", away, DeadLetters(producer), lambda _: None)
    await broker.start()
    async with asyncio.timeout(30):
        await waiting.wait()
    for subscriber in broker.subscribers:
        subscriber.running = False
    ending.set()
    async with asyncio.timeout(3):
        await broker.stop()
    stopping.announce(asyncio.Event())
    seen: list[bytes] = []

    async def back(message: Incoming) -> None:
        seen.append(message.value)

    broker = create_broker(Brokers(stack.kafka), f"test-{secrets.token_hex(2)}")
    subscribe(broker, topic, f"group-{topic}", back, DeadLetters(producer), lambda _: None)
    await broker.start()
    await until(lambda: len(seen) == 2)
    await broker.stop()
    assert seen == [b"1", b"2"]
