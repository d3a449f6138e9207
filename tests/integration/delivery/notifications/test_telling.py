"""What deliveries' failures, webhooks' endpoints and export_request's events lead to: a notification each, once, and of a schedule's delivery one event for webhooks."""

import json
from dataclasses import replace
from typing import Any

import pytest

from services.delivery.destinations.telling import Failed, Paused
from services.delivery.notifications.app import Notifications
from services.delivery.notifications.intake import NotificationIntake
from services.delivery.notifications.store import Feed
from services.delivery.notifications.telling import Telling
from services.delivery.webhooks.store import WebhookStore
from shared.clock import instant
from shared.consumer import Incoming
from shared.database import tenant
from shared.errors import PermanentError
from shared.outbox import Outbox
from tests.integration.delivery.notifications.conftest import Feeding
from tests.integration.delivery.webhooks.conftest import room as room
from tests.integration.delivery.webhooks.room import Room, event_message
from tests.receiver import Answer, Receiver

ORG = "org_told"


def failed(room: Room, export_id: str, schedule_id: str | None = "sch_1") -> Failed:
    return Failed(
        room.clock(), ORG, "dlv_1", export_id, schedule_id, "sftp", "dst_1", "Warehouse", 4, "login_failed", "ada@b.example may not log in."
    )


async def tell(room: Room, what: Failed | Paused) -> list[Incoming]:
    """In a transaction of its own; what is published with it, as it comes from the topic."""
    telling = Telling(Feed(room.pool), Outbox(room.pool, None, "delivery"))
    async with tenant(room.pool, ORG) as connection:
        await (telling.failed(connection, what) if isinstance(what, Failed) else telling.paused(connection, what))
    async with room.pool.acquire() as connection:
        rows = await connection.fetch("DELETE FROM delivery.outbox WHERE topic = 'export-events' RETURNING *")
    return [
        Incoming(r["topic"], 0, 0, r["key"], r["value"], tuple((n, v.encode()) for n, v in json.loads(r["headers"]).items())) for r in rows
    ]


async def notified(room: Room) -> list[Any]:
    return await room.rows("SELECT kind, message, subject FROM delivery.notifications WHERE org_id = $1 ORDER BY created_at, id", ORG)


@pytest.fixture(autouse=True)
async def nothing_before(room: Room) -> None:
    async with tenant(room.pool, ORG) as connection:
        await connection.execute("DELETE FROM delivery.notifications")


async def test_webhooks_tell_once_of_a_schedules_delivery_that_failed(room: Room, receiver: Receiver) -> None:
    async with room.process() as process:
        endpoint = await room.endpoint(process, ORG, receiver.url("/hook"), events=["schedule.delivery_failed"])
        export_id = await room.export(ORG)
        [message] = await tell(room, failed(room, export_id))
        assert b"ada@" not in message.value and message.key == export_id.encode(), "no address on the topic"
        for _ in range(2):
            await process.webhooks.intake.handle(message)
        await room.ended(endpoint["id"])
        await room.settled(process)
        [received] = receiver.at("/hook")
        told = received.verified(endpoint["secret"])
        assert (told["type"], received.webhook_id) == ("schedule.delivery_failed", message.header("ce_id"))
        assert told["data"].pop("url").endswith("/v1/deliveries/dlv_1")
        assert told["data"] == {
            "export_id": export_id, "schedule_id": "sch_1", "delivery_id": "dlv_1", "destination": "dst_1", "type": "sftp", "attempts": 4, "error": {"code": "login_failed"},
        }  # fmt: skip
        again = await tell(room, replace(failed(room, export_id), attempts=8))
        assert [n["kind"] for n in await notified(room)] == ["delivery_failed"] * 2 and len(again) == 1, "given up again after a redelivery"


async def test_what_no_schedule_asked_for_and_a_pause_are_notifications_alone(room: Room) -> None:
    assert await tell(room, failed(room, "exp_1", None)) == []
    paused = Paused(room.clock(), ORG, "dst_1", "Warehouse", "sftp", 3, room.clock(), "login_failed", "The password is wrong.")
    assert await tell(room, paused) == []
    [first, second] = sorted(await notified(room), key=lambda n: n["kind"])
    assert first["message"].startswith(
        "The files of export exp_1 were not brought to 'Warehouse' (sftp), after 4 attempts: ada@b.example may not log in."
    )
    assert (
        second["message"].startswith("The destination 'Warehouse' (sftp) is paused: 3 deliveries in a row failed")
        and "The password is wrong." in second["message"]
    )


async def test_an_endpoint_that_is_disabled_is_told_of(room: Room, receiver: Receiver) -> None:
    receiver.decide = lambda path, before: Answer(410)
    async with room.process() as process:
        endpoint = await room.endpoint(process, ORG, receiver.url("/gone"))
        for _ in range(3):
            await room.event(process, ORG)
        await room.ended(endpoint["id"], 3)
    [told] = await notified(room)
    assert (told["kind"], json.loads(told["subject"])) == ("webhook_endpoint_disabled", {"endpoint_id": endpoint["id"], "code": "gone"})


async def test_events_of_export_request_are_told_once(feeding: Feeding, room: Room) -> None:
    process: Notifications = feeding.process()
    export_id = await room.export(ORG)
    for _ in range(2):
        await process.intake.handle(event_message(export_id, "awaiting_approval", room.clock()))
    await process.intake.handle(event_message(export_id, "completed", room.clock()))
    assert [n["message"] for n in await notified(room)] == [f"Export {export_id} (leads) waits for somebody to approve it."]


@pytest.mark.parametrize(
    "value", [b"x", b"{}", b'{"id": "run_1"}', b'{"id": "run_1", "org_id": "org_told", "schedule_id": "s", "name": "n"}']
)
async def test_an_event_that_lacks_something_is_a_dead_letter(room: Room, value: bytes) -> None:
    headers = (("ce_type", b"waybill.schedule.run_failed"), ("ce_time", str(instant(room.clock())).encode()))
    with pytest.raises(PermanentError):
        await NotificationIntake(Feed(room.pool), WebhookStore(room.pool)).handle(Incoming("export-events", 0, 0, b"", value, headers))
    assert await notified(room) == []


async def test_of_a_backfill_that_fails_one_notification_is_written(room: Room) -> None:
    intake = NotificationIntake(Feed(room.pool), WebhookStore(room.pool))
    for number, backfill in enumerate(["bkf_1", "bkf_1", "bkf_1", "bkf_2", None, None]):
        data = {
            "id": f"run_{number}", "org_id": ORG, "schedule_id": "sch_1", "name": "Nightly", "window": {"from": None, "to": f"2026-03-0{number + 1}"},
            "backfill_id": backfill, "export_id": None, "error": {"code": "unknown_field", "message": "There is no such column."},
        }  # fmt: skip
        headers = (("ce_type", b"waybill.schedule.run_failed"), ("ce_time", str(instant(room.clock())).encode()))
        await intake.handle(Incoming("export-events", 0, 0, b"", json.dumps(data).encode(), headers))
    told = [json.loads(each["subject"]) for each in await notified(room)]
    assert sorted((each["run_id"], each["backfill_id"]) for each in told) == [
        ("run_0", "bkf_1"), ("run_3", "bkf_2"), ("run_4", None), ("run_5", None),
    ]  # fmt: skip
    assert [("first of a backfill" in each["message"]) for each in await notified(room)].count(True) == 2
