"""Publish inside the transaction, take at least once, act once: on a real Kafka and a real PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from aiokafka import AIOKafkaProducer

from shared.brokers import Brokers
from shared.consumer import DeadLetters, Incoming, retry_delay_seconds
from shared.database import create_pool
from shared.defects import defects_noted
from shared.errors import PermanentError, TransientError
from shared.inbox import Inbox
from shared.outbox import Outbox, Outgoing
from shared.runtime import create_broker
from shared.subscribing import subscribe
from tests.conftest import Database, Stack
from tests.integration.shared.conftest import read, until


@asynccontextmanager
async def running(outbox: Outbox) -> AsyncIterator[None]:
    relay = asyncio.create_task(outbox.run())
    try:
        yield
    finally:
        relay.cancel()
        with suppress(asyncio.CancelledError):
            await relay


async def test_what_is_committed_is_published_in_order_and_what_is_rolled_back_is_not(
    stack: Stack, database: Database, producer: AIOKafkaProducer, topic: str
) -> None:
    async with create_pool(database.as_service("export_request"), "test") as pool:
        outbox, other = Outbox(pool, producer, "exports"), Outbox(pool, producer, "exports")
        async with running(outbox), running(other):
            for number in range(40):
                with suppress(ZeroDivisionError):
                    async with pool.acquire() as connection, connection.transaction():
                        await outbox.add(connection, [Outgoing(topic, "key", f"{number}".encode(), {"message-id": f"m{number}"})])
                        if number % 4 == 3:
                            raise ZeroDivisionError
                outbox.wake()
            got = await read(stack, topic, 30)
            async with asyncio.timeout(20):  # what Kafka has is taken out a moment later
                while await pool.fetchval("SELECT count(*) FROM exports.outbox"):
                    await asyncio.sleep(0.01)
        assert [m.value for m in got] == [f"{n}".encode() for n in range(40) if n % 4 != 3]
        assert got[0].message_id == "m0"
        assert await pool.fetchval("SELECT count(*) FROM exports.outbox") == 0


async def test_a_message_is_claimed_once(database: Database) -> None:
    inbox = Inbox("exports")
    async with create_pool(database.as_service("export_request"), "test") as pool:

        async def claim() -> bool:
            async with pool.acquire() as connection, connection.transaction():
                return await inbox.claim(connection, "message-1")

        assert sorted(await asyncio.gather(*(claim() for _ in range(6)))) == [False] * 5 + [True]


async def test_passing_errors_wait_and_lasting_ones_become_dead_letters(stack: Stack, producer: AIOKafkaProducer, topic: str) -> None:
    tries: list[bytes] = []
    defects: list[BaseException] = []

    async def handle(message: Incoming) -> None:
        tries.append(message.value)
        if message.value == b"passing" and tries.count(b"passing") < 3:
            raise TransientError("away", "something")
        if message.value == b"bad":
            raise PermanentError("no_good", "It is no good.", "data.x")

    broker = create_broker(Brokers(stack.kafka), "test")
    subscribe(broker, topic, f"group-{topic}", handle, DeadLetters(producer), defects.append)
    for value in (b"passing", b"bad", b'{"not": "parsed"', b"last"):
        await producer.send_and_wait(topic, value, key=b"k", headers=[("content-type", b"application/json"), ("mine", b"1")])
    await broker.start()
    await until(lambda: b"last" in tries)
    await broker.stop()
    assert tries == [b"passing"] * 3 + [b"bad", b'{"not": "parsed"', b"last"]
    assert defects == []
    letter = (await read(stack, f"{topic}-dlq", 1))[0]
    assert (letter.value, letter.key, letter.header("mine")) == (b"bad", b"k", "1")
    assert (letter.header("error-code"), letter.header("error-field"), letter.header("original-offset")) == ("no_good", "data.x", "1")


async def test_a_defect_ends_the_process_without_losing_the_message(stack: Stack, producer: AIOKafkaProducer, topic: str) -> None:
    defects: list[BaseException] = []
    seen: list[bytes] = []

    async def broken(message: Incoming) -> None:
        raise KeyError(message.value)

    async def mended(message: Incoming) -> None:
        seen.append(message.value)

    for value in (b"1", b"2"):
        await producer.send_and_wait(topic, value)
    for handle, done in ((broken, lambda: bool(defects)), (mended, lambda: len(seen) == 2)):
        broker = create_broker(Brokers(stack.kafka), "test")
        subscribe(broker, topic, f"group-{topic}", handle, DeadLetters(producer), defects.append)
        await broker.start()
        await until(done)
        await broker.stop()
    assert len(defects) == 1
    assert seen == [b"1", b"2"]


async def test_a_message_that_ends_its_process_again_and_again_is_a_dead_letter_in_the_end(
    stack: Stack, producer: AIOKafkaProducer, topic: str
) -> None:
    seen: list[bytes] = []
    defects: list[BaseException] = []

    async def handle(message: Incoming) -> None:
        if message.value == b"poison":
            raise KeyError("what it says must not be told")
        seen.append(message.value)

    for value in (b"poison", b"next"):
        await producer.send_and_wait(topic, value)
    for number in range(1, 4):
        broker = create_broker(Brokers(stack.kafka), "test")
        subscribe(broker, topic, f"group-{topic}", handle, DeadLetters(producer), defects.append)
        await broker.start()
        await until(lambda number=number: len(defects) == number or b"next" in seen)  # type: ignore[misc]
        await broker.stop()
    assert (len(defects), seen) == (2, [b"next"])
    letter = (await read(stack, f"{topic}-dlq", 1))[0]
    assert (letter.value, letter.header("error-code")) == (b"poison", "defect")
    assert "must not" not in letter.header("error-message")


def test_another_messages_defects_do_not_count() -> None:
    assert [defects_noted(7, 7, note) for note in ("defects=2", "", "defects=x", "else")] == [2, 0, 0, 0]
    assert defects_noted(8, 7, "defects=2") == 0


def test_delays_grow_and_are_bounded() -> None:
    delays = [retry_delay_seconds(n) for n in range(1, 40)]
    assert delays == sorted(delays)
    assert (delays[0], delays[-1]) == (0.2, 5.0)
