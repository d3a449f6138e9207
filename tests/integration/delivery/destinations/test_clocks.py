"""Processes whose clocks are wrong: leases, and what is due when, go by PostgreSQL's clock, which they share."""

import asyncio
from datetime import timedelta

import pytest

from tests.integration.delivery.destinations.folder import FolderCarrier, refused
from tests.integration.delivery.destinations.room import Room, new_org, to
from tests.integration.delivery.webhooks.room import eventually

HOUR = timedelta(hours=1)


async def never(*_: object) -> dict[str, None]:
    await asyncio.Event().wait()
    return {}


@pytest.mark.parametrize("off", [HOUR, -HOUR], ids=["ahead", "behind"])
async def test_no_process_takes_what_another_one_is_at(room: Room, off: timedelta) -> None:
    org, carrier = new_org(), FolderCarrier()
    destination = await room.destination(org)
    carrier.gates["leads.csv"] = asyncio.Event()
    async with room.process(carrier=carrier, off=-off) as first, room.process(started=False, off=off) as second:
        export_id = await room.completed(first, org, to(destination))
        await asyncio.wait_for(carrier.at_gate.wait(), 20)
        taken = await second.parts.queue.claim(16, 8, 60)
        seen = await room.delivery(export_id)
        carrier.gates["leads.csv"].set()
        delivered = await room.delivery(export_id, status="delivered")
    assert not taken and seen["claimed_by"] is not None
    assert carrier.brought.total() == delivered["attempts"] == 1 and not second.carrier.brought


@pytest.mark.parametrize("off", [HOUR, -HOUR], ids=["ahead", "behind"])
async def test_who_dies_is_succeeded_when_the_lease_ends(room: Room, off: timedelta) -> None:
    org, carrier = new_org(), FolderCarrier()
    destination = await room.destination(org)
    carrier.gates["leads.csv"] = asyncio.Event()
    async with room.process(carrier=carrier, off=off, destination_lease_seconds=1) as first:
        export_id = await room.completed(first, org, to(destination))
        await asyncio.wait_for(carrier.at_gate.wait(), 20)
        await first.kill()
    async with room.process(off=-off):
        delivered = await room.delivery(export_id, status="delivered")
    assert delivered["attempts"] == 1 and not carrier.brought


async def test_who_cannot_renew_a_lease_stops_before_it_ends(room: Room) -> None:
    """PostgreSQL neither answers nor is away, as far as this process can see: another one may reach it."""
    org, carrier = new_org(), FolderCarrier()
    destination = await room.destination(org)
    carrier.gates["leads.csv"] = asyncio.Event()
    async with room.process(carrier=carrier, off=timedelta(0), destination_lease_seconds=1.5) as process:
        process.parts.queue.renew = never  # type: ignore[method-assign]
        export_id = await room.completed(process, org, to(destination))
        await asyncio.wait_for(carrier.at_gate.wait(), 20)
        await eventually(lambda: carrier.at_once == 0)
        (left,) = await room.deliveries(export_id)
    assert (left["status"], left["attempts"]) == ("pending", 0) and not carrier.brought


async def test_a_retry_is_due_by_the_clock_of_all(room: Room) -> None:
    org = new_org()
    destination = await room.destination(org)
    async with room.process(off=HOUR) as process:
        process.carrier.refusals = [refused()]
        export_id = await room.completed(process, org, to(destination))
        waiting = await room.rests(process, export_id, 1)
    (wait,) = await room.rows("SELECT $1 - clock_timestamp() AS seconds", waiting["due_at"])
    assert timedelta(minutes=3) < wait["seconds"] < timedelta(minutes=6)  # five, with jitter, less what this test took
