"""The engine on real parts: what comes in is brought once, whole, in its turn, also by who goes on after a crash."""

import asyncio
import hashlib
from pathlib import Path

import pytest

from services.delivery import dispatching
from services.delivery.core.destinations.problems import Code, Undelivered
from services.delivery.destinations.deliveries import Deliveries
from shared.errors import TransientError
from shared.outbox import Outbox
from tests.integration.delivery.destinations.folder import FolderCarrier, refused
from tests.integration.delivery.destinations.room import Room, new_org, to
from tests.integration.delivery.room import until
from tests.integration.delivery.webhooks.room import by, event_message

BIG = bytes(range(256)) * 4096  # 1 MiB, read in sixteen pieces


def found_in(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


async def test_files_are_brought_to_their_paths_once(room: Room) -> None:
    org = new_org()
    destination = await room.destination(org, "{org_id}/{dataset}/{year}-{month}", {"password": "s3cret"})
    async with room.process() as process:
        export_id = await room.completed(process, org, to(destination), files={"a.csv": b"a", "b.csv": BIG, "empty.csv": b""})
        delivery = await room.delivery(export_id, status="delivered")
        message = event_message(export_id, "completed", room.clock())
        await process.parts.intake.handle(message)  # told again, under another id
        await process.parts.intake.handle(message)
    base = f"{org}/leads/2026-03"
    assert found_in(room.folder / org) == {f"{base}/a.csv": b"a", f"{base}/b.csv": BIG, f"{base}/empty.csv": b""}
    assert set(process.carrier.brought.values()) == {1} and process.carrier.secrets == [{"password": "s3cret"}]
    assert (delivery["attempts"], delivery["error_code"], delivery["due_at"], delivery["claimed_by"]) == (1, None, None, None)
    assert len(await room.deliveries(export_id)) == 1 and not process.told.failed_of


async def test_who_is_killed_in_the_middle_leaves_the_rest_to_another_one(room: Room) -> None:
    org, carrier = new_org(), FolderCarrier()
    destination = await room.destination(org)
    carrier.gates["b.csv"] = asyncio.Event()
    async with room.process(carrier=carrier) as first:
        export_id = await room.completed(first, org, to(destination), files={"a.csv": b"a", "b.csv": BIG})
        await asyncio.wait_for(carrier.at_gate.wait(), 20)
        await first.kill()
    lost = await room.delivery(export_id, status="pending")
    async with room.process() as second:
        second.wake()
        room.clock.advance(seconds=61)  # the lease of who died has run out
        second.wake()
        delivery = await room.delivery(export_id, status="delivered")
    assert found_in(room.folder / org) == {"a.csv": b"a", "b.csv": BIG}
    assert (carrier.brought + second.carrier.brought).total() == 2 and carrier.brought.total() == 1
    assert lost["claimed_by"] is not None and delivery["attempts"] == 1


async def test_who_ends_in_order_hands_back_and_the_next_one_goes_on_behind_what_is_there(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    org, carrier = new_org(), FolderCarrier()
    destination = await room.destination(org)
    async with room.process(carrier=carrier) as first:
        monkeypatch.setattr(dispatching, "STOP_SECONDS", 0.05)
        carrier.gates["b.csv"] = asyncio.Event()
        export_id = await room.completed(first, org, to(destination), files={"b.csv": BIG})
        await asyncio.wait_for(carrier.at_gate.wait(), 20)
    assert (await room.delivery(export_id))["claimed_by"] is None
    async with room.process() as second:
        await room.delivery(export_id, status="delivered")
    assert hashlib.sha256((room.folder / org / "b.csv").read_bytes()).hexdigest() == hashlib.sha256(BIG).hexdigest()
    assert carrier.bytes_written + second.carrier.bytes_written == len(BIG)


async def test_three_retries_within_the_hour_then_it_is_given_up_and_told(room: Room) -> None:
    org = new_org()
    destination = await room.destination(org)
    async with room.process() as process:
        process.carrier.refusals = [refused() for _ in range(4)]
        began = room.clock()
        export_id = await room.completed(process, org, to(destination), schedule_id="sch_1")
        for attempt in (1, 2, 3):
            waiting = await room.rests(process, export_id, attempt)
            assert waiting["status"] == "pending" and waiting["error_code"] == "refused" and not process.told.failed_of
            room.clock.at = waiting["due_at"]
        failed = await room.rests(process, export_id, 4)
    assert failed["status"] == "failed" and (room.clock() - began).total_seconds() <= 3600
    (told,) = process.told.failed_of
    assert (told.delivery_id, told.schedule_id, told.code, told.attempts) == (failed["id"], "sch_1", Code.refused, 4)
    attempts = await room.rows(
        "SELECT number, error_code FROM delivery.delivery_attempts WHERE delivery_id = $1 ORDER BY number", failed["id"]
    )
    assert [tuple(each) for each in attempts] == [(n, "refused") for n in (1, 2, 3, 4)]


async def test_what_waiting_does_not_mend_is_given_up_at_once_and_what_is_half_there_goes(room: Room) -> None:
    org = new_org()
    destination = await room.destination(org)
    async with room.process() as process:
        process.carrier.gates["b.csv"] = asyncio.Event()
        export_id = await room.completed(process, org, to(destination), files={"b.csv": BIG})
        await asyncio.wait_for(process.carrier.at_gate.wait(), 20)
        await process.kill()
    async with room.process() as second:
        second.carrier.refusals = [refused(Code.login_failed, again=False)]
        room.clock.advance(seconds=61)
        second.wake()
        failed = await room.delivery(export_id, status="failed")

        async def cleared() -> bool:
            return not await room.rows("SELECT FROM delivery.delivery_files WHERE delivery_id = $1", failed["id"])

        await until(cleared)
    assert [list(each) for each in second.carrier.abandoned] == [["b.csv"]] and found_in(room.folder / org) == {}


async def test_three_given_up_in_a_row_pause_the_destination_and_hold_the_rest(room: Room) -> None:
    org = new_org()
    destination = await room.destination(org)
    async with room.process() as process:
        process.carrier.refusals = [refused(Code.permission_denied, again=False) for _ in range(3)]
        for _ in range(3):
            await room.delivery(await room.completed(process, org, to(destination)), status="failed")
        held = await room.completed(process, org, to(destination))
        await room.delivery(held, status="held")
        (paused,) = process.told.paused_of
        store = process.parts.store
        async with store.transaction(org) as connection:
            row = await store.lock(connection, destination)
    assert row is not None and (row["paused_reason"], row["failures"]) == ("failing", 3)
    assert (paused.destination_id, paused.code, paused.failures) == (destination, Code.permission_denied, 3)


async def test_an_export_that_expires_meanwhile_is_not_brought(room: Room) -> None:
    org = new_org()
    destination = await room.destination(org)
    async with room.process(started=False) as process:
        expired, recalled = [await room.completed(process, org, to(destination)) for _ in range(2)]
        await room.change_export(expired, "status = 'expired'")
        await room.change_export(recalled, "deleted_at = now()")
        assert await process.parts.queue.cancel_pointless() >= 2
        process.start()
        gone = [await room.delivery(each, status="cancelled") for each in (expired, recalled)]
    assert {each["error_code"] for each in gone} == {"gone"} and found_in(room.folder) == {} and not process.told.failed_of


async def test_an_export_that_is_recalled_in_the_middle_stops(room: Room) -> None:
    org = new_org()
    destination = await room.destination(org)
    async with room.process(destination_lease_seconds=0.3) as process:
        process.carrier.gates["b.csv"] = asyncio.Event()
        export_id = await room.completed(process, org, to(destination), files={"b.csv": BIG})
        await asyncio.wait_for(process.carrier.at_gate.wait(), 20)
        await room.change_export(export_id, "status = 'failed', error_code = 'recalled'")
        delivery = await room.delivery(export_id, status="cancelled")
    assert delivery["error_code"] == "gone" and found_in(room.folder / org) == {}


async def test_one_at_a_time_at_a_destination_however_many_processes(room: Room) -> None:
    org = new_org()
    here, there = await room.destination(org), await room.destination(org, "there")
    carrier = FolderCarrier()
    async with room.process(carrier=carrier) as first, room.process(carrier=carrier) as second:
        exports = [await room.completed(first, org, [*to(here), *to(there)], files={f"{n}.csv": BIG}) for n in range(6)]
        second.wake()

        async def all_there() -> bool:
            found = [each["status"] for export_id in exports for each in await room.deliveries(export_id)]
            return found == ["delivered"] * 12

        await until(all_there)
    assert carrier.most_at_once == 2 and carrier.brought.total() == 12


async def test_a_deleted_destination_fails_clearly(room: Room) -> None:
    org = new_org()
    async with room.process() as process:
        export_id = await room.completed(process, org, to("dst_gone"))
        delivery = await room.delivery(export_id, status="failed")
    assert delivery["error_code"] == "deleted" and [each.code for each in process.told.failed_of] == ["deleted"]


async def test_a_destination_that_asks_to_be_left_alone_is(room: Room) -> None:
    org = new_org()
    destination = await room.destination(org)
    async with room.process() as process:
        process.carrier.refusals = [refused(Code.unavailable, retry_after=1200)]
        first = await room.completed(process, org, to(destination))
        waiting = await room.rests(process, first, 1)
        second = await room.completed(process, org, to(destination))
        elsewhere = await room.completed(process, org, to(await room.destination(org, "other")))
        await room.delivery(elsewhere, status="delivered")
        assert (await room.delivery(second))["attempts"] == 0
        assert 1200 <= (waiting["due_at"] - room.clock()).total_seconds() <= 1201
        room.clock.advance(seconds=1201)
        for each in (first, second):
            process.wake()
            await room.delivery(each, status="delivered")


async def test_our_own_store_being_away_is_no_attempt(room: Room) -> None:
    org = new_org()
    destination = await room.destination(org)
    async with room.process() as process:
        process.carrier.refusals = [TransientError("The store: away", "The store")]
        export_id = await room.completed(process, org, to(destination))

        async def refused_once() -> bool:
            return not process.carrier.refusals

        await until(refused_once)
        waiting = await room.rests(process, export_id, 0)
        room.clock.advance(seconds=11)
        process.wake()
        delivered = await room.delivery(export_id, status="delivered")
    assert (waiting["attempts"], waiting["error_code"], delivered["attempts"]) == (0, None, 1)


async def test_whatever_a_server_says_ends_nobody_else_s_deliveries(room: Room) -> None:
    org = new_org()
    strange, other = await room.destination(org), await room.destination(new_org())
    async with room.process() as process:
        process.carrier.refusals = [Undelivered(Code.rejected, "550 Empf\udce4nger\x00 " + "unbekannt " * 1_000, again=False)]
        export_id = await room.completed(process, org, to(strange))
        failed = await room.delivery(export_id, status="failed")
        await room.delivery(await room.completed(process, new_org(), to(other)))
    assert failed["error_message"].startswith("550 Empf?nger? unbekannt") and len(failed["error_message"]) == 1_000


async def test_a_schedule_s_deltas_come_in_order(room: Room) -> None:
    org = new_org()
    destination = await room.destination(org)
    async with room.process() as process:
        process.carrier.refusals = [refused()]
        first = await room.completed(process, org, to(destination), files={"1.csv": b"1"}, schedule_id="sch_d", since="exp_0")
        waiting = await room.rests(process, first, 1)
        room.clock.advance(seconds=1)
        second = await room.completed(process, org, to(destination), files={"2.csv": b"2"}, schedule_id="sch_d", since=first)
        whole = await room.completed(process, org, to(destination), files={"3.csv": b"3"}, schedule_id="sch_w")
        await room.delivery(whole, status="delivered")  # of another schedule: it waits for nobody
        assert (await room.delivery(second))["attempts"] == 0
        room.clock.at = waiting["due_at"]
        process.wake()
        await room.delivery(second, status="delivered")
        assert (await room.delivery(first))["status"] == "delivered"


async def test_what_was_given_up_half_way_goes_on_when_it_is_asked_for_again(room: Room) -> None:
    org = new_org()
    destination = await room.destination(org)
    async with room.process() as process:
        deliveries = Deliveries(process.parts.store, Outbox(room.pool, None, "delivery"), process.wake, room.clock)
        process.carrier.refuses["b.csv"] = refused(again=False)
        export_id = await room.completed(process, org, to(destination), files={"a.csv": b"a", "b.csv": b"b"})
        failed = await room.delivery(export_id, status="failed")
        await deliveries.redeliver(by(org), failed["id"])
        await room.delivery(export_id, status="delivered")
        assert found_in(room.folder / org) == {"a.csv": b"a", "b.csv": b"b"}
        assert set(process.carrier.brought.values()) == {1}
        await deliveries.redeliver(by(org), failed["id"])
        await room.delivery(export_id, status="delivered", attempts=3)
    assert set(process.carrier.brought.values()) == {2}
