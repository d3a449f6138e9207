"""Sending dead letters again: original bytes, key and headers to the topic that they came from; none of them twice."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import KafkaError
from aiokafka.structs import OffsetAndMetadata

from cli.core.letters import SUFFIX, Letter
from cli.dlq.reading import Partition, consumer_of, group_of, letters, partitions_of
from cli.errors import CliError

WINDOW = 500  # letters sent before their offsets are committed: what a crash could send twice


@dataclass(frozen=True)
class Choice:
    """Which letters: at most `limit`, these `offsets` (partition, offset), this `error_code`; `again` also those sent before."""

    limit: int | None = None
    offsets: frozenset[tuple[int, int]] = frozenset()
    error_code: str | None = None
    again: bool = False

    def takes(self, letter: Letter) -> bool:
        if self.offsets and (letter.partition, letter.offset) not in self.offsets:
            return False
        return self.error_code is None or letter.reason.get("error-code") == self.error_code


@dataclass
class Replayed:
    """What a replay did. `skipped`: chosen, but sent again before."""

    sent: int = 0
    skipped: int = 0
    left: int = 0
    by_target: dict[str, int] = field(default_factory=dict)


async def replay(brokers: str, topic: str, choice: Choice, *, dry_run: bool, on_sent: Callable[[int], None]) -> Replayed:
    """Sends the chosen letters of `topic` again, in order within a partition. Committed once the broker has them."""
    done = Replayed()
    async with consumer_of(brokers, group_of(topic)) as consumer:
        partitions = await partitions_of(brokers, consumer, topic)
        producer = AIOKafkaProducer(
            bootstrap_servers=brokers, acks="all", enable_idempotence=True, compression_type="lz4", max_request_size=2 * 1024 * 1024
        )
        await producer.start()
        try:
            for partition in partitions:
                await _replay_one(consumer, producer, partition, choice, done, dry_run, on_sent)
        except KafkaError as error:
            raise CliError(f"{topic}: {error} ({done.sent} were sent; the same command goes on from there).", "kafka") from None
        finally:
            await producer.stop()
        done.left = sum(p.waiting for p in partitions) - (0 if dry_run or choice.again else done.sent)
    return done


async def _replay_one(
    consumer: AIOKafkaConsumer,
    producer: AIOKafkaProducer,
    partition: Partition,
    choice: Choice,
    done: Replayed,
    dry_run: bool,
    on_sent: Callable[[int], None],
) -> None:
    memory = partition.memory
    window: list[Letter] = []

    async def settle() -> None:
        nonlocal memory
        if not window or dry_run:
            window.clear()
            return
        await _publish(producer, window)
        for letter in window:
            memory = memory.with_sent(letter.offset)
        await consumer.commit({partition.place: OffsetAndMetadata(memory.before, memory.metadata)})
        window.clear()

    async for letter in _chosen(consumer, partition, choice, done):
        window.append(letter)
        done.sent += 1
        done.by_target[letter.target] = done.by_target.get(letter.target, 0) + 1
        on_sent(1)
        if len(window) >= WINDOW:
            await settle()
        if memory.is_full:
            await settle()
            raise CliError(
                f"{partition.place.topic}: too many letters were picked out one by one to remember; "
                "send the others first, without --error-code."
            )
        if choice.limit is not None and done.sent >= choice.limit:
            break
    await settle()


async def _chosen(consumer: AIOKafkaConsumer, partition: Partition, choice: Choice, done: Replayed) -> AsyncIterator[Letter]:
    if choice.limit is not None and done.sent >= choice.limit:
        return
    mine = [offset for number, offset in choice.offsets if number == partition.place.partition]
    if choice.offsets and not mine:
        return
    first = min(mine, default=partition.start if choice.again else partition.memory.before)
    async for letter in letters(consumer, partition, first):
        if not choice.takes(letter):
            continue
        if letter.offset in partition.memory and not choice.again:
            done.skipped += 1
            continue
        if letter.target.endswith(SUFFIX):
            raise CliError(
                f"{partition.place.topic}, offset {letter.offset}: original-topic '{letter.target}' is itself one of dead letters."
            )
        yield letter


async def _publish(producer: AIOKafkaProducer, window: list[Letter]) -> None:
    """Returns when the broker holds all of `window`."""
    sent = [
        await producer.send(each.target, value=each.value, key=each.key, headers=list(each.headers), partition=each.target_partition)
        for each in window
    ]
    for delivered in sent:
        await delivered
