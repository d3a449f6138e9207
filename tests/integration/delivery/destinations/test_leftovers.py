"""What is half there at destinations that are deleted."""

import asyncio
import json

from structlog.testing import capture_logs

from services.delivery.core.destinations.problems import Code
from services.delivery.destinations.store import Problem, load
from shared.database import tenant
from tests.integration.delivery.destinations.room import Process, Room, new_org, to
from tests.integration.delivery.room import until
from tests.integration.delivery.webhooks.room import eventually


async def delete(room: Room, process: Process, org: str, destination: str) -> bool:
    store = process.parts.store
    async with store.transaction(org) as connection:
        return await store.delete(connection, destination, Problem(Code.deleted, "It was deleted."), room.clock())


async def kept(room: Room, destination: str) -> list[list[dict[str, str]]]:
    found = await room.rows("SELECT notes FROM delivery.leftovers WHERE destination_id = $1", destination)
    return [json.loads(row["notes"]) for row in found]


async def test_what_is_noted_at_the_moment_of_the_deletion_is_kept_in_mind(room: Room) -> None:
    org = new_org()
    destination = await room.destination(org)
    async with room.process(started=False) as process:
        await room.completed(process, org, to(destination))
        (claim,) = await process.parts.queue.claim(16, 8, 60)
        async with tenant(room.pool, org) as noting:
            await load().keep_note(noting, delivery_id=claim.id, claim=claim.claimed_by, name="leads.csv", note="/half")
            deleting = asyncio.create_task(delete(room, process, org, destination))
            await until(lambda: room.rows("SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"))
        under_way = await deleting
    assert under_way and await kept(room, destination) == [[{"leads.csv": "/half"}]]


async def test_what_nobody_foresaw_while_it_is_taken_away_stands_in_the_log(room: Room) -> None:
    async def breaks(*_: object) -> None:
        raise KeyError("defect")

    async with room.process(started=False) as process:
        process.parts.queue.leftovers_of_deleted = breaks  # type: ignore[assignment,method-assign]
        with capture_logs() as logs:
            process.parts.leftovers.take_away("dst_1")
            await eventually(lambda: bool(logs))
    assert [(each["event"], type(each["exc_info"])) for each in logs] == [("background_defect", KeyError)]


async def test_a_server_that_is_away_keeps_nobody_from_measuring_the_queue(room: Room) -> None:
    """To take away what is half there is a loop of its own: each that is away takes a minute."""
    org = new_org()
    destination = await room.destination(org)
    async with room.process(started=False) as process:
        parts, asked = process.parts, asyncio.Event()
        await room.completed(process, org, to(destination))
        (claim,) = await parts.queue.claim(16, 8, 60)
        async with tenant(room.pool, org) as noting:
            await load().keep_note(noting, delivery_id=claim.id, claim=claim.claimed_by, name="leads.csv", note="/half")
        await delete(room, process, org, destination)
        room.clock.advance(minutes=11)

        async def hangs(*_: object) -> None:
            asked.set()
            await asyncio.Event().wait()

        process.carrier.abandon = hangs  # type: ignore[method-assign]
        tidying = asyncio.create_task(parts.leftovers.tidy())
        await asyncio.wait_for(asked.wait(), 20)
        await asyncio.wait_for(parts.upkeep.tidy(), 20)
        tidying.cancel()
    assert {parts.upkeep.run, parts.leftovers.run} <= set(parts.loops) and await kept(room, destination) == [[{"leads.csv": "/half"}]]
