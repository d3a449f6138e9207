"""Processes whose clocks are wrong: leases go by PostgreSQL's clock, which they share."""

import asyncio
from datetime import timedelta

import pytest

from services.delivery.core.webhooks.traffic import Limits, Traffic
from tests.integration.delivery.webhooks.room import Room, by
from tests.receiver import Receiver

ORG = "org_a"
HOUR = timedelta(hours=1)


@pytest.mark.parametrize("off", [HOUR, -HOUR], ids=["ahead", "behind"])
async def test_no_process_takes_what_another_one_sends(room: Room, receiver: Receiver, off: timedelta) -> None:
    async with room.process(started=False, off=-off) as first, room.process(started=False, off=off) as second:
        sending, go_on, send = asyncio.Event(), asyncio.Event(), first.webhooks.sender.send

        async def slowly(*request: object) -> object:
            sending.set()
            await go_on.wait()
            return await send(*request)  # type: ignore[arg-type]

        first.webhooks.sender.send = slowly  # type: ignore[assignment,method-assign]
        endpoint = await room.endpoint(first, ORG, receiver.url("/k"), events=["export.completed"])
        await room.rows("UPDATE delivery.webhook_endpoints SET created_at = created_at - interval '1 day' RETURNING id")
        await room.event(first, ORG)
        first.start()
        await asyncio.wait_for(sending.wait(), 20)
        taken = await second.webhooks.queue.claim(Traffic(Limits()).room(0.0), 60)
        go_on.set()
        (delivered,) = await room.ended(endpoint["id"])
    assert not [each for each in taken if each.endpoint_id == endpoint["id"]]
    assert (delivered["status"], delivered["attempts"]) == ("delivered", 1)


async def test_a_rotated_secret_signs_for_as_long_as_all_processes_say(room: Room, receiver: Receiver) -> None:
    async with room.process(off=HOUR) as ahead, room.process(started=False, off=-HOUR) as behind:
        endpoint = await room.endpoint(behind, ORG, receiver.url("/r"), events=["export.completed"])
        await room.rows("UPDATE delivery.webhook_endpoints SET created_at = created_at - interval '1 day' RETURNING id")
        await behind.webhooks.endpoints.rotate(by(ORG), endpoint["id"], {"overlap_seconds": 600})
        tested = await ahead.webhooks.endpoints.test(by(ORG), endpoint["id"])
        await room.event(ahead, ORG)
        await room.ended(endpoint["id"], 2)
    assert tested["delivered"] and [len(each.headers["webhook-signature"].split()) for each in receiver.at("/r")] == [2, 2]
