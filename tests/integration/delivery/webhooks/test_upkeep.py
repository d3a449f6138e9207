"""Old deliveries go, secrets move to the present key, the queue's age is known."""

from datetime import timedelta

from structlog.testing import capture_logs

from services.delivery.webhooks.metrics import QUEUE_AGE, QUEUED
from services.delivery.webhooks.upkeep import Upkeep
from shared.sealing import WEBHOOK_SECRETS, Seal
from tests.integration.delivery.webhooks.room import SECRET_KEY, Room, by
from tests.receiver import Answer, Receiver

ORG = "org_a"
BY = by(ORG)
NEW_KEY = "fedcba9876543210" * 4


async def test_what_ended_long_ago_is_forgotten_and_what_is_pending_is_not(room: Room, receiver: Receiver) -> None:
    receiver.decide = lambda path, before: Answer(500) if path == "/down" else Answer()
    async with room.process() as process:
        await room.endpoint(process, ORG, receiver.url("/up"))
        up = await room.endpoint(process, ORG, receiver.url("/up2"))
        down = await room.endpoint(process, ORG, receiver.url("/down"))
        await room.event(process, ORG)
        await room.ended(up["id"])
        await room.waiting(down["id"], 1)
        await process.stop()
        assert await process.webhooks.queue.prune(timedelta(days=30)) == 0
        room.clock.advance(days=31)
        assert await process.webhooks.queue.prune(timedelta(days=30)) == 2
        assert await room.deliveries(up["id"]) == []
        assert len(await room.deliveries(down["id"])) == 1
        assert len(await room.rows("SELECT FROM delivery.webhook_attempts")) == 1


async def test_secrets_are_sealed_again_with_the_present_key(room: Room, receiver: Receiver) -> None:
    async with room.process(started=False) as process:
        made = await room.endpoint(process, ORG, receiver.url("/s"))
        await process.webhooks.endpoints.rotate(BY, made["id"], {})
        both = Seal([NEW_KEY, SECRET_KEY], WEBHOOK_SECRETS)
        upkeep = Upkeep(process.webhooks.queue, both, timedelta(days=30))
        await upkeep.tidy()
        (row,) = await room.rows("SELECT secret, previous_secret FROM delivery.webhook_endpoints")
        only_new = Seal([NEW_KEY], WEBHOOK_SECRETS)
        assert len(only_new.open(row["secret"], made["id"])) == len(only_new.open(row["previous_secret"], made["id"])) == 32
        with capture_logs() as logs:
            await upkeep.tidy()
        assert logs == []


async def test_a_secret_that_no_key_opens_is_told_and_holds_up_no_others(room: Room, receiver: Receiver) -> None:
    async with room.process(started=False) as process:
        made = [await room.endpoint(process, ORG, receiver.url(f"/{n}")) for n in range(3)]
        lost = Seal(["0" * 64], WEBHOOK_SECRETS).seal(b"secret", made[0]["id"])
        await room.rows("UPDATE delivery.webhook_endpoints SET secret = $1 WHERE id = $2 RETURNING id", lost, made[0]["id"])
        with capture_logs() as logs:
            await Upkeep(process.webhooks.queue, Seal([NEW_KEY, SECRET_KEY], WEBHOOK_SECRETS), timedelta(days=30)).tidy()
        kept = {row["id"]: row["secret"] for row in await room.rows("SELECT id, secret FROM delivery.webhook_endpoints")}
    (told,) = (each for each in logs if each["log_level"] == "error")
    assert (told["event"], told["ids"]) == ("webhook_secret_unreadable", [made[0]["id"]])
    assert kept[made[0]["id"]] == lost and all(Seal([NEW_KEY], WEBHOOK_SECRETS).open(kept[each["id"]], each["id"]) for each in made[1:])


async def test_the_queues_age_is_that_of_the_oldest_that_could_be_sent(room: Room, receiver: Receiver) -> None:
    async with room.process(started=False) as process:
        await room.endpoint(process, ORG, receiver.url("/q"))
        await room.event(process, ORG)
        room.clock.advance(seconds=90)
        await room.event(process, ORG)
        await process.webhooks.upkeep.look()
        assert (QUEUED._value.get(), QUEUE_AGE._value.get()) == (2, 90)
        await room.rows("UPDATE delivery.webhook_endpoints SET held_until = $1 RETURNING id", room.clock() + timedelta(hours=1))
        await process.webhooks.upkeep.look()
        assert (QUEUED._value.get(), QUEUE_AGE._value.get()) == (2, 0), "an endpoint that asked for peace has no backlog of ours"
