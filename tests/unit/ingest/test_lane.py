"""The order that keeps records: rows committed, dead letters kept, and only then offsets acknowledged."""

import asyncio
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from aiokafka import TopicPartition

from services.ingest.batch import UnknownOrganisation
from services.ingest.core.positions import Stretch
from services.ingest.handlers import Lane, Topic, TopicMadeAnew
from services.ingest.store import Written
from shared.errors import TransientError


@dataclass
class Message:
    value: bytes | None
    offset: int
    key: bytes | None = None
    topic: str = "records"
    partition: int = 0
    headers: tuple[Any, ...] = ()


def message(id_: str, offset: int, org_id: str = "org_a") -> Message:
    text = f'{{"type":"team","id":"{id_}","org_id":"{org_id}","data":{{"name":"n"}}}}'
    return Message(text.encode(), offset, f"{org_id}/team/{id_}".encode())


class Log:
    """Store, dead letters and acknowledgements that note what they are asked, and fail or wait as told."""

    def __init__(self, fails: int = 0) -> None:
        self.done: list[Any] = []
        self.failed: list[BaseException] = []
        self.fails = fails
        self.gate = asyncio.Event()
        self.gate.set()
        self.broken = False
        self.repeated = 0
        self.topic_id = uuid.uuid4()

    async def write_stretches(self, topic_id: uuid.UUID, stretches: Sequence[Stretch]) -> Written:
        records = [record for stretch in stretches for record in stretch.records]
        await self.gate.wait()
        if self.broken:
            raise RuntimeError("defect")
        if self.fails:
            self.fails -= 1
            raise TransientError("away", "PostgreSQL")
        for record in records:
            if record.org_id == "org_x":
                raise UnknownOrganisation("org_x")
        self.done.append([r.id for r in records])
        return Written(len(records) - self.repeated, 0, self.repeated)

    def handled(self, topic: str, messages: int) -> None:
        pass

    async def admit(self, topic: str, letters: int, handled: int) -> None:
        """No limit here."""

    async def keep_all(self, refused: Sequence[tuple[Any, Any]]) -> None:
        self.done.append([error.code for _, error in refused])

    async def acknowledge(self, offsets: dict[TopicPartition, int]) -> None:
        self.done.append({tp.partition: offset for tp, offset in offsets.items()})

    async def find_topic_id(self) -> uuid.UUID:
        return self.topic_id

    def lane(self) -> Lane:
        return Lane(self, self, Topic(self.find_topic_id), self.failed.append)  # type: ignore[arg-type]

    async def until_failed(self) -> None:
        async with asyncio.timeout(5):
            while not self.failed:
                await asyncio.sleep(0)


async def test_rows_then_dead_letters_then_offsets() -> None:
    log = Log(fails=1)
    lane = log.lane()
    await lane.take([message("a", 4), Message(b"{", 5), message("b", 6, "org_x"), Message(b"", 9, partition=2)], log.acknowledge)
    await lane.settle()
    assert log.done == [["a"], ["invalid_json", "unknown_organisation", "invalid_json"], {0: 7, 2: 10}]


async def test_the_next_batch_is_read_while_one_is_written_and_waits_for_it() -> None:
    log = Log()
    log.gate.clear()
    lane = log.lane()
    await lane.take([message("a", 0)], log.acknowledge)
    second = asyncio.create_task(lane.take([message("b", 1)], log.acknowledge))
    done, _ = await asyncio.wait([second], timeout=0.05)
    assert not done and log.done == []
    log.gate.set()
    await second
    await lane.settle()
    assert log.done == [["a"], {0: 1}, ["b"], {0: 2}]


async def test_a_defect_ends_the_process_and_acknowledges_nothing() -> None:
    log = Log()
    log.broken = True
    lane = log.lane()
    await lane.take([message("a", 0)], log.acknowledge)
    waiting = asyncio.create_task(lane.settle())
    await log.until_failed()
    assert [type(e) for e in log.failed] == [RuntimeError] and log.done == [] and not waiting.done()
    waiting.cancel()


async def test_what_was_written_before_is_acknowledged() -> None:
    log = Log()
    log.repeated = 1
    lane = log.lane()
    await lane.take([message("a", 3)], log.acknowledge)
    await lane.settle()
    assert log.done == [["a"], {0: 4}] and not log.failed


async def test_a_topic_made_anew_ends_the_process_and_acknowledges_nothing() -> None:
    """Its first offsets look as if they had been written before."""
    log = Log()
    lane = log.lane()
    await lane.take([message("a", 0)], log.acknowledge)
    await lane.settle()
    known, log.done, log.repeated = log.topic_id, [], 1
    await lane.take([message("b", 0)], log.acknowledge)
    log.topic_id = uuid.uuid4()
    waiting = asyncio.create_task(lane.settle())
    await log.until_failed()
    assert known != log.topic_id and [type(e) for e in log.failed] == [TopicMadeAnew]
    assert log.done == [["b"]] and not waiting.done()
    waiting.cancel()
