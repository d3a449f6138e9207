"""Failures reach the alert channels: once, in order, tried again, few in a flood, and never by an address that is inside."""

import asyncio
import json
from datetime import timedelta
from typing import Any

import pytest
from structlog.testing import capture_logs

from services.delivery.core.notifications import notices
from services.delivery.core.notifications.alerts import RETRY_SECONDS
from tests.integration.delivery.notifications.conftest import Feeding
from tests.mail_server import serving, settings_of
from tests.receiver import Answer, Receiver

OPS = "ops@acme.example"


def failed(feeding: Feeding, number: int = 1, destination: str = "dst_1", **more: Any) -> notices.Notice:
    given = {
        "at": feeding.clock(), "delivery_id": f"dlv_{number}", "export_id": f"exp_{number}", "schedule_id": None, "type": "sftp", "destination_id": destination,
        "destination_name": "Ware<house> & Co", "attempts": 4, "code": "refused", "message": "Nobody listens.",
    }  # fmt: skip
    return notices.delivery_failed(**given | more)


async def test_a_failure_is_told_to_every_channel_and_shown_in_the_feed(feeding: Feeding, receiver: Receiver) -> None:
    async with serving() as post:
        process = feeding.process(settings_of(post))
        org_id = await feeding.organisation(
            {"type": "webhook", "url": receiver.url("/hook?secret=1")}, {"type": "slack", "url": receiver.url("/slack")}, {"type": "email", "to": [OPS]}
        )  # fmt: skip
        assert await feeding.tell(process, org_id, failed(feeding))
        assert not await feeding.tell(process, org_id, failed(feeding)), "told once"
        await feeding.settled(process)
        [hook], [slack], [mail] = receiver.at("/hook?secret=1"), receiver.at("/slack"), post.to(OPS)
        told = json.loads(hook.body)
        assert (told["kind"], told["subject"]["delivery_id"], told["count"], told["organisation"]) == (
            "delivery_failed",
            "dlv_1",
            1,
            "Acme & <Sons>",
        )
        assert list(json.loads(slack.body)) == ["text"]
        assert (
            "Acme &amp; &lt;Sons&gt;: The files of export exp_1 were not brought to 'Ware&lt;house&gt; &amp; Co' (sftp), after 4 attempts"
            in json.loads(slack.body)["text"]
        )
        assert "Waybill: delivery failed" in str(mail.message["subject"]) and "Nobody listens." in mail.message.get_content()
        [shown] = (await feeding.get(process, org_id))["data"]
        assert (shown["kind"], shown["subject"]["code"], shown["message"]) == ("delivery_failed", "refused", told["message"])
        assert [(a["type"], a["status"], a["attempts"], a["error"]) for a in shown["alerts"]] == [
            (t, "sent", 1, None) for t in ("webhook", "slack", "email")
        ]


async def test_what_is_no_failure_alerts_nobody(feeding: Feeding, receiver: Receiver) -> None:
    process, org_id = feeding.process(), await feeding.organisation({"type": "slack", "url": receiver.url("/slack")})
    await feeding.tell(process, org_id, notices.approval_awaited(at=feeding.clock(), export_id="exp_1", dataset="leads", rows=1_200_000))
    await feeding.settled(process)
    [shown] = (await feeding.get(process, org_id))["data"]
    assert (shown["message"], shown["alerts"], receiver.at("/slack")) == (
        "Export exp_1 (leads of 1,200,000 rows) waits for somebody to approve it.",
        [],
        [],
    )


async def test_a_channel_that_fails_is_tried_again_and_given_up_at_last(feeding: Feeding, receiver: Receiver) -> None:
    receiver.decide = lambda path, before: Answer(500 if path == "/dead" or before < 2 else 204)
    process = feeding.process()
    org_id = await feeding.organisation(
        {"type": "webhook", "url": receiver.url("/later")}, {"type": "webhook", "url": receiver.url("/dead")}
    )
    with capture_logs() as logs:
        await feeding.tell(process, org_id, failed(feeding))
        for wait in (0, *RETRY_SECONDS):
            feeding.clock.advance(seconds=1.3 * wait)
            await feeding.settled(process)
    assert [len(receiver.at(path)) for path in ("/later", "/dead")] == [3, 5]
    assert {r.webhook_id for r in receiver.at("/later")} == {(await feeding.alerts(org_id))[0]["id"]}, (
        "the same id, so that it may be told apart"
    )
    [shown] = (await feeding.get(process, org_id))["data"]
    assert [(a["status"], a["attempts"], (a["error"] or {}).get("code")) for a in shown["alerts"]] == [
        ("sent", 3, None),
        ("failed", 5, "http_error"),
    ]
    assert len(logs) == 7 and "127.0.0.1" not in json.dumps(logs, default=str), "an address is a secret"


async def test_a_flood_is_one_alert_in_a_while_with_a_count(feeding: Feeding, receiver: Receiver) -> None:
    process, org_id = feeding.process(alert_quiet_minutes=15), await feeding.organisation({"type": "webhook", "url": receiver.url("/hook")})
    for number in range(5):
        await feeding.tell(process, org_id, failed(feeding, number))
        await feeding.settled(process)
    await feeding.tell(process, org_id, failed(feeding, 9, "dst_2"))
    await feeding.settled(process)
    assert [json.loads(r.body)["subject"]["delivery_id"] for r in receiver.at("/hook")] == ["dlv_0", "dlv_9"], (
        "another destination is another matter"
    )
    feeding.clock.advance(minutes=16)
    await feeding.settled(process)
    last = json.loads(receiver.at("/hook")[-1].body)
    assert (last["subject"]["delivery_id"], last["count"], len(receiver.at("/hook"))) == ("dlv_4", 4, 3)
    assert "(3 more like it since the last alert.)" not in last["message"], "a machine reads the count"
    feeding.clock.advance(minutes=16)
    await feeding.settled(process)
    assert len(receiver.at("/hook")) == 3


async def test_what_comes_while_an_alert_is_sent_is_told_later(feeding: Feeding, receiver: Receiver) -> None:
    process, org_id = feeding.process(), await feeding.organisation({"type": "webhook", "url": receiver.url("/hook")})
    await feeding.tell(process, org_id, failed(feeding, 1))
    await process.alerter.queue()
    tell = process.alerter._channels.tell

    async def meanwhile(channel: Any, alert: Any) -> Any:
        await feeding.tell(process, org_id, failed(feeding, 2))
        await process.alerter.queue()
        return await tell(channel, alert)

    process.alerter._channels.tell = meanwhile  # type: ignore[method-assign]
    await process.alerter.send()
    process.alerter._channels.tell = tell  # type: ignore[method-assign]
    await feeding.settled(process)
    feeding.clock.advance(minutes=16)
    await feeding.settled(process)
    assert [json.loads(r.body)["subject"]["delivery_id"] for r in receiver.at("/hook")] == ["dlv_1", "dlv_2"]


async def test_who_dies_while_telling_leaves_it_due(feeding: Feeding, receiver: Receiver) -> None:
    process, org_id = feeding.process(), await feeding.organisation({"type": "webhook", "url": receiver.url("/hook")})
    await feeding.tell(process, org_id, failed(feeding))
    await process.alerter.queue()

    async def dies(channel: Any, alert: Any) -> Any:
        raise asyncio.CancelledError

    process.alerter._channels.tell = dies  # type: ignore[method-assign]
    with pytest.raises(asyncio.CancelledError):
        await process.alerter.send()
    other = feeding.process()
    await feeding.settled(other)
    assert receiver.at("/hook") == [], "the lease holds"
    feeding.clock.advance(seconds=301)
    await feeding.settled(other)
    assert len(receiver.at("/hook")) == 1


async def test_an_address_inside_is_refused_and_channels_that_can_not_be_told_say_so(feeding: Feeding, receiver: Receiver) -> None:
    process = feeding.process(webhook_allow_loopback=False)
    org_id = await feeding.organisation({"type": "slack", "url": receiver.url("/slack")}, {"type": "email", "to": [OPS]})
    await feeding.tell(process, org_id, failed(feeding))
    await feeding.settled(process)
    [shown] = (await feeding.get(process, org_id))["data"]
    assert [(a["type"], a["status"], a["error"]["code"]) for a in shown["alerts"]] == [
        ("slack", "failed", "bad_url"),
        ("email", "skipped", "no_mail_server"),
    ]
    assert receiver.at("/slack") == [] and "127.0.0.1" not in json.dumps(shown)
    tried = await feeding.get(process, org_id, "/v1/settings/alert-channels/test", "POST")
    assert [(c["type"], c["delivered"], c["error"]["code"]) for c in tried["channels"]] == [
        ("slack", False, "bad_url"),
        ("email", False, "no_mail_server"),
    ]


async def test_a_defect_of_ours_is_one_channel_s_trouble(feeding: Feeding, receiver: Receiver) -> None:
    process = feeding.process()
    org_id = await feeding.organisation({"type": "webhook", "url": receiver.url("/hook")}, {"type": "email", "to": [OPS]})

    async def broken(*_: object) -> None:
        raise ValueError("not foreseen")

    process.alerter._channels._mail = broken
    await feeding.tell(process, org_id, failed(feeding))
    await process.alerter.step()
    told = {a["type"]: (a["status"], a["error_code"]) for a in await feeding.alerts(org_id)}
    assert told == {"webhook": ("sent", None), "email": ("pending", "unexpected")}


async def test_a_channel_taken_out_of_the_settings_hears_nothing_more(feeding: Feeding, receiver: Receiver) -> None:
    process, org_id = feeding.process(), await feeding.organisation({"type": "webhook", "url": receiver.url("/hook")})
    await feeding.tell(process, org_id, failed(feeding))
    await process.alerter.queue()
    await feeding.admin.execute("UPDATE tenancy.organisations SET alert_channels = '[]' WHERE org_id = $1", org_id)
    await feeding.settled(process)
    assert (receiver.at("/hook"), [(a["status"], a["error_code"]) for a in await feeding.alerts(org_id)]) == (
        [],
        [("skipped", "channel_removed")],
    )


async def test_trying_the_channels_says_what_came_of_each(feeding: Feeding, receiver: Receiver) -> None:
    receiver.decide = lambda path, before: Answer(404 if path == "/gone" else 200)
    process = feeding.process()
    org_id = await feeding.organisation({"type": "slack", "url": receiver.url("/slack")}, {"type": "webhook", "url": receiver.url("/gone")})
    tried = await feeding.get(process, org_id, "/v1/settings/alert-channels/test", "POST")
    assert tried == {"channels": [
        {"type": "slack", "delivered": True, "error": None}, {"type": "webhook", "delivered": False, "error": {"code": "http_error", "message": "It answered 404."}},
    ]}  # fmt: skip
    assert "This is a test" in json.loads(receiver.at("/slack")[0].body)["text"]
    assert (await feeding.get(process, org_id))["data"] == [], "a test is no news"


async def test_the_feed_comes_in_pages_filtered_and_only_to_its_organisation(feeding: Feeding) -> None:
    process, mine, theirs = feeding.process(), await feeding.organisation(), await feeding.organisation()
    for number in range(5):
        feeding.clock.advance(seconds=1)
        await feeding.tell(process, mine, failed(feeding, number))
    middle = feeding.clock.at - timedelta(seconds=2)
    await feeding.tell(process, mine, notices.approval_awaited(at=feeding.clock(), export_id="exp_7", dataset="leads", rows=None))
    first = await feeding.get(process, mine, limit=4)
    rest = await feeding.get(process, mine, limit=4, cursor=first["next_cursor"])
    ids = [n["subject"]["export_id"] for n in first["data"] + rest["data"]]
    assert (sorted(ids), ids[-1], rest["has_more"]) == ([*(f"exp_{n}" for n in range(5)), "exp_7"], "exp_0", False)
    assert [n["kind"] for n in (await feeding.get(process, mine, kind="approval_awaited"))["data"]] == ["approval_awaited"]
    assert len((await feeding.get(process, mine, kind="delivery_failed", created_after=middle.isoformat()))["data"]) == 2
    assert (await feeding.get(process, theirs))["data"] == []
    assert await feeding.get(process, mine, kind="fire", created_after="yesterday", colour="red") == (
        400,
        ["colour", "kind", "created_after"],
    )
    feeding.clock.advance(days=91)
    assert await process.alerter.tidy() == 6
    assert (await feeding.get(process, mine))["data"] == []
