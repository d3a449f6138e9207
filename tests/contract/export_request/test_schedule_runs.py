"""Windows run once, in order: missed, paused, backfilled, full, failed and cancelled ones too. On a real PostgreSQL."""

import pytest

from shared.messages import AssembleFile, ChunkFailed
from tests.contract.export_request.conftest import OPERATOR, Caller, World, incoming
from tests.contract.export_request.scheduling import HOUR, NOON, look, make, runs, tick, windows_of


@pytest.fixture
async def caller(world: World) -> Caller:
    world.clock.now = NOON
    return await world.organisation()


async def test_windows_run_once_each_in_order_with_the_schedules_file_names(world: World, caller: Caller) -> None:
    made = await make(caller)
    assert made["next_window"] == {"from": "2026-03-28T13:00:00.000Z", "to": "2026-03-28T14:00:00.000Z"}, (
        "the first that begins from now on"
    )
    assert (made["status"], made["last_run"], made["destinations"], made["has_password"]) == ("active", None, [], False)
    await tick(world)
    assert await runs(caller, made["id"]) == []
    world.clock.forward(4 * HOUR)  # 16:20: three windows have ended
    await tick(world)
    found = await runs(caller, made["id"])
    assert windows_of(found) == [(f"2026-03-28T{h}:00:00.000Z", f"2026-03-28T{h + 1}:00:00.000Z") for h in (15, 14, 13)]
    assert [r["status"] for r in found] == ["completed"] * 3
    assert (await look(caller, made["id"]))["last_run"] == found[0]
    first = found[-1]
    export = await caller.get(first["export_id"])
    assert (export["schedule_id"], export["request"]) == (
        made["id"], {"timezone": "Europe/Brussels", "dataset": "leads", "format": "csv", "from": "2026-03-28T13:00:00.000Z", "to": "2026-03-28T14:00:00.000Z"},
    )  # fmt: skip
    name = export["files"][0]["name"]
    assert (
        name == first["file_name"] and name.startswith(f"{caller.org_id}_leads_28032026140000_28032026150000_") and name.endswith(".csv")
    ), "local times"
    command: AssembleFile = world.commands(export["id"])[0]
    assert (command.name, command.sftp_folder) == (name, "leads")
    listed = (await caller.call("GET", "/v1/exports", params={"schedule_id": made["id"]})).json()["data"]
    assert [e["id"] for e in listed] == [r["export_id"] for r in found]
    starts = [row["created_at"] for row in await world.admin.fetch("SELECT created_at FROM exports.exports ORDER BY id")]
    assert starts == sorted(starts)


async def test_of_missed_windows_the_newest_alone_runs_where_the_schedule_says_so(world: World, caller: Caller) -> None:
    made = await make(caller, catch_up="newest")
    world.clock.forward(6 * HOUR)
    await tick(world)
    newest, passed = await runs(caller, made["id"])
    assert (newest["status"], passed["status"], passed["windows"], passed["reason"]["code"]) == ("completed", "skipped", 4, "missed")
    assert windows_of([newest, passed]) == [
        ("2026-03-28T17:00:00.000Z", "2026-03-28T18:00:00.000Z"), ("2026-03-28T13:00:00.000Z", "2026-03-28T17:00:00.000Z"),
    ]  # fmt: skip


async def test_a_dataset_that_shows_an_instant_runs_its_newest_one(world: World, caller: Caller) -> None:
    made = await make(caller, export={"dataset": "open-conversations", "format": "csv"}, sftp=False)
    world.clock.forward(3 * HOUR)
    await tick(world)
    newest, passed = await runs(caller, made["id"])
    assert (newest["window"], passed["status"]) == ({"from": None, "to": "2026-03-28T15:00:00.000Z"}, "skipped")
    assert newest["file_name"].startswith(f"{caller.org_id}_open-conversation_28032026160000_")
    answer = await caller.call("POST", f"/v1/schedules/{made['id']}/run")
    assert answer.status_code == 202 and answer.json()["window"] == {"from": None, "to": "2026-03-28T15:20:00.000Z"}
    refused = await caller.call("POST", f"/v1/schedules/{made['id']}/backfill", json={"from": "2026-03-01", "to": "2026-03-02"})
    assert refused.status_code == 422


async def test_run_now_takes_the_newest_whole_window_whether_it_has_run_or_not(world: World, caller: Caller) -> None:
    made = await make(caller)
    answer = await caller.call("POST", f"/v1/schedules/{made['id']}/run")
    run = answer.json()
    assert (answer.status_code, run["kind"], run["status"]) == (202, "manual", "running")
    assert run["window"] == {"from": "2026-03-28T11:00:00.000Z", "to": "2026-03-28T12:00:00.000Z"}
    await world.drive(run["export_id"])
    assert [r["status"] for r in await runs(caller, made["id"], status="completed")] == ["completed"]
    again = (await caller.call("POST", f"/v1/schedules/{made['id']}/run")).json()
    assert again["window"] == run["window"] and again["export_id"] != run["export_id"]


async def test_pause_and_resume_lose_no_window_unless_asked_to(world: World, caller: Caller) -> None:
    made = await make(caller)
    paused = (await caller.call("POST", f"/v1/schedules/{made['id']}/pause")).json()
    assert (paused["status"], paused["next_run_at"]) == ("paused", None)
    assert (await caller.call("POST", f"/v1/schedules/{made['id']}/pause")).json() == paused
    world.clock.forward(4 * HOUR)
    await tick(world)
    assert await runs(caller, made["id"]) == []
    assert (await caller.call("POST", f"/v1/schedules/{made['id']}/resume")).json()["status"] == "active"
    await tick(world)
    assert len(await runs(caller, made["id"], status="completed")) == 3
    await caller.call("POST", f"/v1/schedules/{made['id']}/pause")
    world.clock.forward(4 * HOUR)
    resumed = await caller.call("POST", f"/v1/schedules/{made['id']}/resume", json={"catch_up": "newest"})
    assert resumed.status_code == 200 and resumed.json()["catch_up"] == "all", "for this once"
    await tick(world)
    newest, passed = (await runs(caller, made["id"]))[:2]
    assert (newest["status"], passed["status"], passed["windows"]) == ("completed", "skipped", 3)
    wrong = await caller.call("POST", f"/v1/schedules/{made['id']}/resume", json={"catch_up": "none", "x": 1})
    assert sorted(d["field"] for d in wrong.json()["error"]["details"]) == ["catch_up", "x"]


async def test_a_backfill_runs_the_windows_of_its_range_one_at_a_time_and_none_twice(world: World, caller: Caller) -> None:
    made = await make(caller, frequency="daily")
    await caller.call("POST", f"/v1/schedules/{made['id']}/run")
    await tick(world)
    body = {"from": "2026-03-24", "to": "2026-03-29"}
    answer = await caller.call("POST", f"/v1/schedules/{made['id']}/backfill", json=body)
    backfill = answer.json()
    assert (answer.status_code, backfill["windows"], backfill["already_run"], backfill["waiting"]) == (202, 3, 1, 3), (
        "the 27th has run; the 28th has not ended"
    )
    await world.parts.scheduler.step()
    assert [r["status"] for r in await runs(caller, made["id"]) if r["kind"] == "backfill"] == ["waiting", "waiting", "running"]
    await tick(world)
    [shown] = (await look(caller, made["id"]))["backfills"]
    assert (shown["completed"], shown["ended"]) == (3, True)
    order = [r["export_id"] for r in reversed(await runs(caller, made["id"])) if r["kind"] == "backfill"]
    assert order == sorted(order), "oldest first"
    repeated = (await caller.call("POST", f"/v1/schedules/{made['id']}/backfill", json=body)).json()
    assert (repeated["windows"], repeated["already_run"], repeated["ended"]) == (0, 4, True)
    again = (await caller.call("POST", f"/v1/schedules/{made['id']}/backfill", json=body | {"again": True})).json()
    assert (again["windows"], again["already_run"]) == (4, 0)


async def test_a_limit_makes_runs_wait_and_not_fail(world: World, caller: Caller) -> None:
    answer = await world.http.patch(
        f"/v1/organisations/{caller.org_id}", json={"limits": {"exports_at_once": 1}}, headers={"Authorization": f"Bearer {OPERATOR}"}
    )
    assert answer.status_code == 200
    made = [await make(caller, name=f"S{n}") for n in range(3)]
    world.clock.forward(2 * HOUR)
    await world.parts.scheduler.step()
    await world.parts.scheduler.step()
    found = [(await runs(caller, each["id"]))[0] for each in made]
    assert sorted(r["status"] for r in found) == ["running", "waiting", "waiting"]
    waiting = next(r for r in found if r["status"] == "waiting")
    assert (waiting["reason"]["code"], waiting["attempts"]) == ("rate_limited", 0) and "1 at once" in waiting["reason"]["message"]
    for _ in made:
        await tick(world)
        world.clock.forward(6)
    await tick(world)
    assert [(await runs(caller, each["id"]))[0]["status"] for each in made] == ["completed"] * 3


async def test_a_failure_that_may_pass_is_tried_again_and_then_said(world: World, caller: Caller) -> None:
    made = await make(caller)
    world.clock.forward(2 * HOUR)
    exports = set()
    for attempt, wait in enumerate((60, 300, 1200, 0), start=1):
        await world.parts.scheduler.step()
        await world.parts.scheduler.step()
        [run] = await runs(caller, made["id"])
        assert (run["status"], run["attempts"]) == ("running", attempt), run
        exports.add(run["export_id"])
        event = ChunkFailed(run["export_id"], caller.org_id, 0, "store_full", "The store is full.")
        await world.parts.handlers.export_parts(incoming("export-parts", event, f"{run['export_id']}/failed"))
        [run] = await runs(caller, made["id"])
        assert run["reason"] == {"code": "store_full", "message": "The store is full."}
        if wait:
            assert run["status"] == "waiting"
            await world.parts.scheduler.step()
            assert (await runs(caller, made["id"]))[0]["status"] == "waiting", "not before its time"
            world.clock.forward(wait)
    assert (run["status"], len(exports)) == ("failed", 4)
    assert await world.parts.scheduler.step() >= 0


async def test_a_cancelled_export_ends_its_run_and_a_schedule_whose_export_is_no_longer_possible_says_why(
    world: World, caller: Caller
) -> None:
    made = await make(caller)
    run = (await caller.call("POST", f"/v1/schedules/{made['id']}/run")).json()
    await caller.call("DELETE", f"/v1/exports/{run['export_id']}")
    assert (await runs(caller, made["id"]))[0]["status"] == "cancelled"
    assert (await caller.call("PATCH", "/v1/settings", json={"require_purpose": True})).status_code == 200
    world.clock.forward(2 * HOUR)
    await tick(world)
    failed = (await runs(caller, made["id"], status="failed"))[0]
    assert failed["reason"]["code"] == "unprocessable" and "purpose" in failed["reason"]["message"] and failed["export_id"] is None
