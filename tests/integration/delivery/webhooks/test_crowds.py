"""Many at once: processes that die, processes side by side, endpoints that hang, queues that are long."""

import asyncio
import threading
from collections import Counter

from services.delivery.core.webhooks.traffic import Limits, Traffic
from services.delivery.notifications.store import Feed
from services.delivery.webhooks.queue import Queue
from tests.integration.delivery.webhooks.room import Room, by, eventually
from tests.receiver import Answer, Receiver

ORG = "org_a"
BY = by(ORG)
LEASE_SECONDS = 60


async def test_a_process_that_dies_between_claim_and_send_leaves_its_claims_to_the_next(room: Room, receiver: Receiver) -> None:
    async with room.process(started=False) as dying, room.process(started=False) as next_one:
        endpoint = await room.endpoint(dying, ORG, receiver.url("/k"))
        event = await room.event(dying, ORG)
        hanging = asyncio.Event()

        async def never(*_: object) -> None:
            hanging.set()
            await asyncio.Event().wait()

        dying.webhooks.sender.send = never  # type: ignore[assignment,method-assign]
        dying.start()
        await hanging.wait()
        await dying.kill()
        assert receiver.at("/k") == []
        next_one.start()
        (claimed,) = await room.deliveries(endpoint["id"])
        assert claimed["claimed_by"] is not None and claimed["attempts"] == 0
        room.clock.advance(seconds=LEASE_SECONDS)
        next_one.wake()
        (delivered,) = await room.ended(endpoint["id"])
    assert (delivered["status"], delivered["attempts"]) == ("delivered", 1)
    assert [r.webhook_id for r in receiver.at("/k")] == [event.header("ce_id")]


async def test_a_process_that_dies_between_send_and_record_sends_it_again_under_the_same_id(room: Room, receiver: Receiver) -> None:
    async with room.process(started=False) as dying, room.process(started=False) as next_one:
        endpoint = await room.endpoint(dying, ORG, receiver.url("/k"))
        event = await room.event(dying, ORG)

        async def lost(*_: object) -> None:
            await asyncio.Event().wait()

        dying.webhooks.dispatcher._queue.record = lost  # type: ignore[assignment,method-assign]
        dying.start()
        await eventually(lambda: len(receiver.at("/k")) == 1)
        await dying.kill()
        next_one.start()
        room.clock.advance(seconds=LEASE_SECONDS)
        next_one.wake()
        await room.ended(endpoint["id"])
    assert [r.webhook_id for r in receiver.at("/k")] == [event.header("ce_id")] * 2


async def test_a_process_that_is_stopped_hands_back_what_it_has_not_sent(room: Room, receiver: Receiver) -> None:
    held = threading.Event()
    receiver.decide = lambda path, before: Answer(wait=held) if before == 0 else Answer()
    try:
        async with room.process() as stopping, room.process(started=False) as next_one:
            endpoint = await room.endpoint(stopping, ORG, receiver.url("/h"))
            await room.event(stopping, ORG)
            await eventually(lambda: len(receiver.at("/h")) == 1)
            await stopping.stop()
            (back,) = await room.deliveries(endpoint["id"])
            assert (back["status"], back["claimed_by"], back["attempts"]) == ("pending", None, 0)
            next_one.start()  # no lease is waited for
            (delivered,) = await room.ended(endpoint["id"])
            assert delivered["status"] == "delivered"
    finally:
        held.set()


async def test_processes_side_by_side_send_each_delivery_once(room: Room, receiver: Receiver) -> None:
    async with room.process(started=False) as one, room.process(started=False) as two:
        endpoints = [await room.endpoint(one, f"org_{n}", receiver.url(f"/{n}")) for n in range(4)]
        for _ in range(20):
            for n in range(4):
                await room.event(one, f"org_{n}")
        one.start()
        two.start()
        for endpoint in endpoints:
            await room.ended(endpoint["id"], 20)
    for n in range(4):
        assert set(Counter(r.webhook_id for r in receiver.at(f"/{n}")).values()) == {1}
        assert len(receiver.at(f"/{n}")) == 20


async def test_endpoints_that_hang_hold_up_nobody_else(room: Room, receiver: Receiver) -> None:
    held = threading.Event()
    receiver.decide = lambda path, before: Answer(wait=held) if path.startswith("/slow") else Answer()
    try:
        async with room.process(webhook_requests=32, webhook_requests_per_organisation=16) as process:
            slow = [await room.endpoint(process, "org_slow", receiver.url(f"/slow{n}")) for n in range(8)]
            quick = await room.endpoint(process, "org_quick", receiver.url("/quick"))
            same = await room.endpoint(process, "org_mixed", receiver.url("/mixed"))
            dead = await room.endpoint(process, "org_mixed", receiver.url("/slow-too"))
            for _ in range(10):
                await room.event(process, "org_slow")
            await eventually(lambda: sum(len(receiver.at(f"/slow{n}")) for n in range(8)) >= 16)
            for _ in range(20):
                await room.event(process, "org_quick")
                await room.event(process, "org_mixed")
            await room.ended(quick["id"], 20)
            await room.ended(same["id"], 20)
            assert sum(len(receiver.at(f"/slow{n}")) for n in range(8)) <= 16, "no more than an organisation may have under way"
            for endpoint in (*slow, dead):
                assert all(d["status"] == "pending" for d in await room.deliveries(endpoint["id"]))
            held.set()
            for endpoint in slow:
                await room.ended(endpoint["id"], 10)
    finally:
        held.set()


async def test_a_long_queue_does_not_stand_before_a_short_one(room: Room, receiver: Receiver) -> None:
    async with room.process(started=False) as process:
        await room.endpoint(process, "org_long", receiver.url("/1"))
        await room.endpoint(process, "org_long", receiver.url("/2"))
        for _ in range(100):
            await room.event(process, "org_long")
        await room.endpoint(process, "org_short", receiver.url("/3"))
        room.clock.advance(seconds=1)
        await room.event(process, "org_short")
        queue = Queue(room.pool, "w", 1.0, lambda: 0.5, Feed(room.pool), room.clock.of_database)
        claims = await queue.claim(Traffic(Limits(total=4, endpoint=32)).room(0.0), LEASE_SECONDS)
        assert Counter(c.org_id for c in claims) == {"org_long": 3, "org_short": 1}
        assert len({c.endpoint_id for c in claims}) == 3
        again = await queue.claim(Traffic(Limits(total=500, endpoint=500)).room(0.0), LEASE_SECONDS)
        assert not {c.id for c in claims} & {c.id for c in again}


async def test_disabling_while_requests_are_under_way(room: Room, receiver: Receiver) -> None:
    held = threading.Event()
    receiver.decide = lambda path, before: Answer(status=204 if before == 0 else 500, wait=held)
    try:
        async with room.process() as process:
            endpoint = await room.endpoint(process, ORG, receiver.url("/h"))
            for _ in range(3):
                await room.event(process, ORG)
            await eventually(lambda: len(receiver.at("/h")) == 3)
            await process.webhooks.endpoints.change(BY, endpoint["id"], {"enabled": False})
            assert {d["status"] for d in await room.deliveries(endpoint["id"])} == {"skipped"}
            held.set()
            await eventually(lambda: process.webhooks.dispatcher._traffic.under_way == 0)
            found = await room.deliveries(endpoint["id"])
            assert Counter(d["status"] for d in found) == {"delivered": 1, "skipped": 2}
            assert await room.rows("SELECT FROM delivery.webhook_queue") == []
    finally:
        held.set()


async def test_deleting_while_requests_are_under_way(room: Room, receiver: Receiver) -> None:
    held = threading.Event()
    receiver.decide = lambda path, before: Answer(wait=held)
    try:
        async with room.process() as process:
            endpoint = await room.endpoint(process, ORG, receiver.url("/h"))
            await room.event(process, ORG)
            await eventually(lambda: len(receiver.at("/h")) == 1)
            await process.webhooks.endpoints.delete(BY, endpoint["id"])
            held.set()
            await eventually(lambda: process.webhooks.dispatcher._traffic.under_way == 0)
            assert await room.rows("SELECT FROM delivery.webhook_deliveries") == []
    finally:
        held.set()
