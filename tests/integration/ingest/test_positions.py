"""How far a partition has been written moves with the rows: nobody writes a record a second time, and no stale owner an old one over a new one."""

import asyncio
import uuid

import pytest

from services.ingest.batch import Batch, UnknownOrganisation
from services.ingest.core.positions import Stretch
from services.ingest.store import Written
from tests.integration.ingest.room import Room, read, team


def stretch(first: int, *names: str, partition: int = 0, org_id: str = "org_a") -> Stretch:
    """Records without versions of one team, at offsets from `first` on."""
    offsets = range(first, first + len(names))
    return Stretch(partition, first + len(names), list(offsets), [read(team("t", name), org_id) for name in names])


async def test_a_consumer_that_was_frozen_writes_nothing_over_what_its_successor_wrote(room: Room) -> None:
    """It had read 0 to 2 and slept through a rebalance; who took over wrote them, and more."""
    topic, frozen = uuid.uuid4(), stretch(0, "zero", "one", "two")
    assert await room.store.write_stretches(topic, [stretch(0, "zero", "one", "two", "three")]) == Written(4, 0)
    assert await room.store.write_stretches(topic, [frozen]) == Written(0, 0, 3)
    assert await room.current("teams", "name") == {"t": "three"}
    assert await room.store.write_stretches(topic, [stretch(4, "four")]) == Written(1, 0)
    assert await room.versions("teams", "t") == [(None, True), (None, False)]


async def test_a_successor_waits_for_a_transaction_under_way_and_leaves_out_what_it_wrote(room: Room) -> None:
    topic, entered, gate = uuid.uuid4(), asyncio.Event(), asyncio.Event()

    async def slowly(batch: Batch) -> Written:
        await batch.claim(topic, {0: 2})
        entered.set()
        await gate.wait()
        return Written(await batch.write(stretch(0, "zero", "one").records, ""), 0)

    first = asyncio.create_task(room.store._persist(slowly, several=False))
    await entered.wait()
    second = asyncio.create_task(room.store.write_stretches(topic, [stretch(0, "zero", "one", "two")]))
    async with asyncio.timeout(30):
        while not await room.admin.fetchval("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND locktype = 'transactionid')"):
            await asyncio.sleep(0)
    gate.set()
    assert (await first, await second) == (Written(2, 0), Written(1, 0, 2))
    assert await room.current("teams", "name") == {"t": "two"}


async def test_owners_that_race_write_each_record_once(room: Room) -> None:
    topic = uuid.uuid4()
    written = await asyncio.gather(*[room.store.write_stretches(topic, [stretch(0, *[str(n) for n in range(5)])]) for _ in range(5)])
    assert sorted(w.accepted for w in written) == [0, 0, 0, 0, 5]
    assert sorted(w.repeated for w in written) == [0, 5, 5, 5, 5]


async def test_a_batch_cut_otherwise_is_written_from_where_the_last_ended(room: Room) -> None:
    topic = uuid.uuid4()
    assert await room.store.write_stretches(topic, [stretch(0, "a", "b"), stretch(7, "x", partition=1, org_id="org_b")]) == Written(3, 0)
    both = [stretch(1, "b", "c", "d"), stretch(7, "x", "y", partition=1, org_id="org_b")]
    assert await room.store.write_stretches(topic, both) == Written(3, 0, 2)
    assert await room.current("teams", "name") == {"t": "d"}
    assert await room.current("teams", "name", "org_b") == {"t": "y"}
    rows = await room.admin.fetch("SELECT partition, next_offset FROM ingest.positions WHERE topic_id = $1", topic)
    assert {tuple(row) for row in rows} == {(0, 4), (1, 9)}


async def test_a_topic_made_anew_starts_from_nothing(room: Room) -> None:
    await room.store.write_stretches(uuid.uuid4(), [stretch(0, "a", "b", "c")])
    assert await room.store.write_stretches(uuid.uuid4(), [stretch(0, "anew")]) == Written(1, 0)
    assert await room.current("teams", "name") == {"t": "anew"}


async def test_positions_stay_where_nothing_was_written(room: Room) -> None:
    topic = uuid.uuid4()
    with pytest.raises(UnknownOrganisation):
        await room.store.write_stretches(topic, [stretch(0, "a", org_id="org_x")])
    assert await room.admin.fetchval("SELECT count(*) FROM ingest.positions WHERE topic_id = $1", topic) == 0


async def test_repeated_records_of_an_unknown_organisation_are_still_told(room: Room) -> None:
    """The process may have ended after the commit and before the broker had their dead letters."""
    topic = uuid.uuid4()
    await room.store.write_stretches(topic, [Stretch(0, 3, [], [])])
    with pytest.raises(UnknownOrganisation):
        await room.store.write_stretches(topic, [stretch(0, "a", org_id="org_x")])
