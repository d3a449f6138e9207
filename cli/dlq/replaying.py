"""Sending dead letters again: original bytes, key and headers to the topic that they came from; none of them twice."""

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import KafkaError
from aiokafka.structs import OffsetAndMetadata

from cli.core.letters import SUFFIX, Letter
from cli.core.memory import SCATTERED_MAX, Memory
from cli.dlq import audit
from cli.dlq.reading import Partition, consumer_of, group_of, letters, partitions_of
from cli.errors import CliError
from shared.brokers import Brokers
from shared.ids import new_id


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
    """What a replay did. `chosen` were sent (with a dry run: would be); `skipped` were sent before; `left` still wait."""

    chosen: int = 0
    committed: int = 0
    skipped: int = 0
    left: int = 0
    by_target: dict[str, int] = field(default_factory=dict)


async def replay(brokers: Brokers, topic: str, choice: Choice, *, dry_run: bool, on_sent: Callable[[int], None]) -> Replayed:
    """Sends the chosen letters of `topic` again, in order within a partition. Committed once the broker has them."""
    async with consumer_of(brokers, group_of(topic)) as keeper:
        partitions = await partitions_of(brokers, keeper, topic)
        # It only commits: assigned once and for all, and paused, so that it fetches nothing.
        keeper.assign([partition.place for partition in partitions])
        keeper.pause(*(partition.place for partition in partitions))
        producer = AIOKafkaProducer(  # not before Kafka has answered: one that is never started can't be stopped either
            **brokers.client, acks="all", enable_idempotence=True, compression_type="lz4", max_request_size=2 * 1024 * 1024
        )
        run = _Replay(brokers, keeper, producer, choice, dry_run, on_sent)
        try:
            await producer.start()
            async with _noted(producer, topic, choice, run, dry_run):
                for partition in partitions:
                    await run.one(partition)
        except KafkaError as error:
            known = "nothing was sent" if dry_run else f"{run.done.committed} were sent; the same command goes on from there"
            raise CliError(f"{topic}: {error} ({known}).", "kafka") from None
        finally:
            await producer.stop()
        run.done.left += sum(partition.waiting for partition in partitions) - run.newly
        return run.done


@asynccontextmanager
async def _noted(producer: AIOKafkaProducer, topic: str, choice: Choice, run: "_Replay", dry_run: bool) -> AsyncGenerator[None]:
    """In the audit trail, whatever comes of it: what can't be noted isn't done."""
    if dry_run:
        yield
        return
    replay_id = new_id("replay")
    chosen = {"limit": choice.limit, "offsets": sorted(map(list, choice.offsets)), "error_code": choice.error_code, "again": choice.again}
    await audit.note(producer, audit.STARTED, topic, {"replay_id": replay_id, **chosen})
    try:
        yield
    finally:
        await audit.note(producer, audit.ENDED, topic, {"replay_id": replay_id, "sent": run.done.committed, "by_topic": run.done.by_target})


class _Replay:
    """One replay under way: a window of letters is sent, then remembered; a crash in between sends at most that window twice."""

    def __init__(
        self,
        brokers: Brokers,
        keeper: AIOKafkaConsumer,
        producer: AIOKafkaProducer,
        choice: Choice,
        dry_run: bool,
        on_sent: Callable[[int], None],
    ) -> None:
        self._brokers, self._keeper, self._producer = brokers, keeper, producer
        self._choice, self._dry_run, self._on_sent = choice, dry_run, on_sent
        self.done = Replayed()
        self.newly = 0  # letters that didn't count as sent before

    async def one(self, partition: Partition) -> None:
        memory, window = partition.memory, []
        async with aclosing(self._chosen(partition)) as chosen:
            async for letter in chosen:
                window.append(letter)
                self.done.chosen += 1
                self.done.by_target[letter.target] = self.done.by_target.get(letter.target, 0) + 1
                if len(window) >= SCATTERED_MAX:
                    memory = await self._settle(partition, memory, window)
                    window = []
                if self._enough:
                    break
        await self._settle(partition, memory, window)

    @property
    def _enough(self) -> bool:
        return self._choice.limit is not None and self.done.chosen >= self._choice.limit

    async def _settle(self, partition: Partition, memory: Memory, window: list[Letter]) -> Memory:
        """Sends `window` and remembers it; the memory from then on. Raises CliError where no more can be remembered."""
        if not window or self._dry_run:
            return memory
        if memory.is_full:
            raise CliError(
                f"{partition.place.topic}: too many letters were picked out one by one to remember; send the others first, "
                f"without --error-code ({self.done.committed} were sent now)."
            )
        await _publish(self._producer, window)
        for letter in window:
            self.newly += letter.offset not in memory
            memory = memory.with_sent(letter.offset)
        await self._keeper.commit({partition.place: OffsetAndMetadata(memory.before, memory.metadata)})
        self.done.committed += len(window)
        self._on_sent(len(window))
        return memory

    async def _chosen(self, partition: Partition) -> AsyncGenerator[Letter]:
        mine = [offset for number, offset in self._choice.offsets if number == partition.place.partition]
        if self._enough or (self._choice.offsets and not mine):
            return
        first = min(mine, default=partition.start if self._choice.again else partition.memory.before)
        async with aclosing(letters(self._brokers, partition, first)) as found:
            async for letter in found:
                if not self._choice.takes(letter):
                    continue
                if letter.offset in partition.memory and not self._choice.again:
                    self.done.skipped += 1
                    continue
                if letter.target.endswith(SUFFIX):
                    where = f"{partition.place.topic}, offset {letter.offset}"
                    raise CliError(f"{where}: original-topic '{letter.target}' is itself one of dead letters.")
                yield letter


async def _publish(producer: AIOKafkaProducer, window: list[Letter]) -> None:
    """Returns when the broker holds all of `window`."""
    sent = [
        await producer.send(each.target, value=each.value, key=each.key, headers=list(each.headers), partition=each.target_partition)
        for each in window
    ]
    for delivered in sent:
        await delivered
