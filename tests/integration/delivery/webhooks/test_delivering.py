"""From an event to an endpoint: retries, what endpoints ask for, what disables them, and the ways back."""

from datetime import timedelta

import pytest

from services.delivery.core.webhooks.retry import JITTER, SCHEDULE_SECONDS
from shared.errors import ApiError, PermanentError
from tests.integration.delivery.webhooks.room import Room, by, event_message, eventually
from tests.receiver import Answer, Receiver

ORG = "org_a"
BY = by(ORG)


async def test_an_event_is_tried_by_the_schedule_under_one_id_until_it_is_given_up(room: Room, receiver: Receiver) -> None:
    receiver.decide = lambda path, before: Answer(500, body=b"no\x1b[31m such \xff luck " + b"x" * 5000)
    async with room.process() as process:
        endpoint = await room.endpoint(process, ORG, receiver.url("/down"))
        event = await room.event(process, ORG)
        for tries, seconds in enumerate(SCHEDULE_SECONDS[1:], 1):
            waiting = await room.waiting(endpoint["id"], tries)
            wait = (waiting["due_at"] - room.clock()).total_seconds()
            assert seconds * (1 - JITTER) <= wait <= seconds * (1 + JITTER)
            room.clock.at = waiting["due_at"] - timedelta(seconds=1)
            assert len(receiver.at("/down")) == tries, "not before its time"
            room.clock.advance(seconds=1)
            process.wake()
        (given_up,) = await room.ended(endpoint["id"])
    assert (given_up["status"], given_up["attempts"]) == ("failed", len(SCHEDULE_SECONDS))
    requests = receiver.at("/down")
    assert {r.webhook_id for r in requests} == {event.header("ce_id")}
    assert len({r.headers["webhook-timestamp"] for r in requests}) == len(requests), "each attempt is signed for its own time"
    attempts = await room.rows("SELECT * FROM delivery.webhook_attempts WHERE delivery_id = $1 ORDER BY number", given_up["id"])
    assert [a["number"] for a in attempts] == list(range(1, 11))
    assert {(a["response_code"], a["error_code"]) for a in attempts} == {(500, "http_error")}
    assert attempts[0]["excerpt"].startswith("no [31m such � luck xxx")
    assert len(attempts[0]["excerpt"]) <= 256


async def test_what_an_endpoint_asks_for_is_kept_for_all_its_deliveries(room: Room, receiver: Receiver) -> None:
    receiver.decide = lambda path, before: Answer(429, {"Retry-After": "3600"}) if (path, before) == ("/busy", 0) else Answer()
    async with room.process() as process:
        endpoint = await room.endpoint(process, ORG, receiver.url("/busy"))
        other = await room.endpoint(process, ORG, receiver.url("/other"))
        await room.event(process, ORG)
        first = await room.waiting(endpoint["id"], 1)
        assert first["due_at"] >= room.clock() + timedelta(seconds=3600)
        room.clock.advance(seconds=600)
        await room.event(process, ORG, "failed")
        await room.ended(other["id"], 2)
        assert len(receiver.at("/busy")) == 1, "the second event waits with the first"
        room.clock.advance(seconds=3600)
        process.wake()
        await room.ended(endpoint["id"], 2)
    assert len(receiver.at("/busy")) == 3
    assert len(receiver.at("/other")) == 2


async def test_gone_disables_at_once_and_nothing_is_lost_by_it(room: Room, receiver: Receiver) -> None:
    receiver.decide = lambda path, before: Answer(410)
    async with room.process() as process:
        endpoints = process.webhooks.endpoints
        endpoint = await room.endpoint(process, ORG, receiver.url("/gone"))
        since = room.clock()
        first = await room.event(process, ORG)
        await room.ended(endpoint["id"])
        second = await room.event(process, ORG, "expired")
        shown = await endpoints.show(ORG, endpoint["id"])
        assert (shown["enabled"], shown["disabled"]["reason"]) == (False, "gone")
        assert "410" in shown["disabled"]["message"]
        assert [d["status"] for d in await room.deliveries(endpoint["id"])] == ["skipped", "skipped"]
        assert len(receiver.at("/gone")) == 1
        for refused in (
            endpoints.recover(BY, endpoint["id"], {"since": "2026-01-01"}),
            endpoints.redeliver(BY, endpoint["id"], (await room.deliveries(endpoint["id"]))[0]["id"]),
        ):
            with pytest.raises(ApiError, match="disabled"):
                await refused
        receiver.decide = lambda path, before: Answer()
        shown = await endpoints.change(BY, endpoint["id"], {"enabled": True})
        assert (shown["enabled"], shown["disabled"], shown["failing_since"]) == (True, None, None)
        recovered = await endpoints.recover(BY, endpoint["id"], {"since": since.isoformat()})
        assert recovered["recovered"] == 2
        ended = await room.ended(endpoint["id"], 2)
        assert {d["status"] for d in ended} == {"delivered"}
        assert (await endpoints.recover(BY, endpoint["id"], {"since": since.isoformat()}))["recovered"] == 0
    ids = [r.webhook_id for r in receiver.at("/gone")]
    assert sorted(ids) == sorted([first.header("ce_id")] * 2 + [second.header("ce_id")])


async def test_an_endpoint_that_fails_for_five_days_is_disabled_with_the_reason(room: Room, receiver: Receiver) -> None:
    receiver.decide = lambda path, before: Answer(503)
    async with room.process() as process:
        endpoint = await room.endpoint(process, ORG, receiver.url("/dead"))
        for day in range(6):
            await room.event(process, ORG)
            for _ in range(12):
                room.clock.advance(hours=2)
                await room.settled(process)
            if day < 4:
                assert (await process.webhooks.endpoints.show(ORG, endpoint["id"]))["enabled"]
        await room.ended(endpoint["id"], 6)
        shown = await process.webhooks.endpoints.show(ORG, endpoint["id"])
    assert shown["disabled"]["reason"] == "failing"
    assert shown["failing_since"] is not None
    assert {d["status"] for d in await room.deliveries(endpoint["id"])} == {"failed", "skipped"}


async def test_a_redirect_is_not_followed_and_an_endless_answer_is_cut_off(room: Room, receiver: Receiver) -> None:
    receiver.decide = lambda path, before: {
        "/redirect": Answer(302, {"Location": receiver.url("/target")}),
        "/endless": Answer(200, {"Content-Length": str(1 << 40)}, b"x" * (1 << 20)),
    }.get(path, Answer())
    async with room.process() as process:
        redirected = await room.endpoint(process, ORG, receiver.url("/redirect"))
        endless = await room.endpoint(process, ORG, receiver.url("/endless"))
        await room.event(process, ORG)
        waiting = await room.waiting(redirected["id"], 1)
        (delivered,) = await room.ended(endless["id"])
    (attempt,) = await room.rows("SELECT * FROM delivery.webhook_attempts WHERE delivery_id = $1", waiting["id"])
    assert (attempt["response_code"], attempt["error_code"]) == (302, "redirected")
    assert receiver.at("/target") == []
    assert delivered["status"] == "delivered"


async def test_an_event_is_recorded_once_however_often_it_lies_in_the_topic(room: Room, receiver: Receiver) -> None:
    async with room.process() as process:
        endpoint = await room.endpoint(process, ORG, receiver.url("/once"))
        stranger = await room.endpoint(process, "org_b", receiver.url("/stranger"))
        only_failed = await room.endpoint(process, ORG, receiver.url("/failed"), events=["export.failed"])
        message = await room.event(process, ORG)
        await process.webhooks.intake.handle(message)
        await room.ended(endpoint["id"])
        await process.webhooks.intake.handle(message)
        for kind in ("accepted", "started", "progress"):
            await room.event(process, ORG, kind)
        assert len(await room.deliveries(endpoint["id"])) == 1
        assert await room.deliveries(only_failed["id"]) == []
        assert await room.deliveries(stranger["id"]) == [], "another organisation hears nothing"
        old = event_message(await room.export(ORG), "completed", room.clock() - timedelta(days=1))
        await process.webhooks.intake.handle(old)
        assert len(await room.deliveries(endpoint["id"])) == 1, "nor does anyone hear of what was before it"
        with pytest.raises(PermanentError, match="does not exist"):
            await process.webhooks.intake.handle(event_message("exp_unknown", "completed", room.clock()))


async def test_a_rotated_secret_signs_beside_the_new_one_for_its_time(room: Room, receiver: Receiver) -> None:
    async with room.process() as process:
        endpoints = process.webhooks.endpoints
        made = await room.endpoint(process, ORG, receiver.url("/r"))
        await endpoints.rotate(BY, made["id"], {"overlap_seconds": 3600})
        rotated = await endpoints.rotate(BY, made["id"], {"overlap_seconds": 3600})
        assert rotated["secret"] != made["secret"]
        await room.event(process, ORG)
        await room.ended(made["id"], 1)
        room.clock.advance(seconds=3601)
        assert (await endpoints.show(ORG, made["id"]))["old_secret_expires_at"] is None
        await room.event(process, ORG)
        await room.ended(made["id"], 2)
        await endpoints.rotate(BY, made["id"], {"overlap_seconds": 0})
        await room.event(process, ORG)
        await room.ended(made["id"], 3)
    assert [len(r.headers["webhook-signature"].split()) for r in receiver.at("/r")] == [2, 1, 1]


async def test_a_secret_that_cannot_be_read_costs_no_attempt(room: Room, receiver: Receiver) -> None:
    async with room.process() as process:
        endpoint = await room.endpoint(process, ORG, receiver.url("/k"))
    async with room.process(started=False) as process:
        await room.rows("UPDATE delivery.webhook_endpoints SET secret = 'x' || secret RETURNING id")
        process.start()
        await room.event(process, ORG)
        await eventually(lambda: process.webhooks.dispatcher._traffic.under_way == 0)
        (waiting,) = await room.deliveries(endpoint["id"])
        assert (waiting["status"], waiting["attempts"]) == ("pending", 0)
        with pytest.raises(ApiError, match="rotate"):
            await process.webhooks.endpoints.test(BY, endpoint["id"])
    assert receiver.at("/k") == []
