"""Schedules of deltas: each run is measured from the one before, or says why it is whole. What the files hold is shown in tests/e2e/test_schedule_deltas.py."""

from typing import Any

import pytest

from tests.contract.export_request.conftest import Caller, World
from tests.contract.export_request.scheduling import HOUR, NOON, make, runs, tick
from tests.contract.export_request.test_same_refusals import PRUNED

DELTAS: dict[str, Any] = {"dataset": "leads", "format": "csv", "since": "previous"}


@pytest.fixture
async def caller(world: World) -> Caller:
    world.clock.now = NOON
    return await world.organisation(leads=3)


async def ran(world: World, caller: Caller, schedule_id: str) -> dict[str, Any]:
    """The newest window's run."""
    world.clock.forward(HOUR)
    await tick(world)
    return (await runs(caller, schedule_id))[0]


async def test_each_run_is_measured_from_the_one_before_and_the_first_is_whole(world: World, caller: Caller) -> None:
    made = await make(caller, export=DELTAS, timezone="UTC")
    assert made["export"] == DELTAS
    world.clock.forward(HOUR)
    first, second, third = [await ran(world, caller, made["id"]) for _ in range(3)]
    assert (first["delta"]["since"], first["delta"]["whole"]["code"]) == (None, "first")
    assert [r["delta"] for r in (second, third)] == [{"since": r["export_id"], "whole": None} for r in (first, second)]
    assert (third["window"]["from"], third["status"]) == (None, "completed")
    assert third["file_name"].startswith(f"{caller.org_id}_leads_2803202616"), "by the instant: there is no range"
    assert (await caller.get(third["export_id"]))["request"] == {
        "timezone": "UTC",
        "dataset": "leads",
        "format": "csv",
        "since": second["export_id"],
    }


async def test_a_base_that_can_not_be_used_any_more_makes_the_run_whole(world: World, caller: Caller) -> None:
    made = await make(caller, export=DELTAS)
    world.clock.forward(HOUR)
    first = await ran(world, caller, made["id"])
    await world.admin.execute(PRUNED, caller.org_id)
    await world.admin.execute("UPDATE exports.exports SET status = 'expired' WHERE id = $1", first["export_id"])
    pruned = await ran(world, caller, made["id"])
    assert (pruned["delta"]["since"], pruned["delta"]["whole"]["code"], pruned["status"]) == (None, "gone", "completed")
    assert "since" not in (await caller.get(pruned["export_id"]))["request"]
    again = await ran(world, caller, made["id"])
    assert again["delta"] == {"since": pruned["export_id"], "whole": None}, "and from then on it goes on"
    assert (await caller.call("DELETE", f"/v1/exports/{again['export_id']}")).status_code == 204
    deleted = await ran(world, caller, made["id"])
    assert (deleted["delta"]["whole"]["code"], deleted["status"]) == ("not_found", "completed")


@pytest.mark.parametrize("what", ["filter", "columns", "a property"])
async def test_what_shapes_rows_and_is_another_makes_the_run_whole(world: World, caller: Caller, what: str) -> None:
    export = DELTAS | ({"filter": {"status": ["new"]}} if what == "filter" else {"columns": ["id", "email"]} if what == "columns" else {})
    made = await make(caller, export=export)
    world.clock.forward(HOUR)
    await ran(world, caller, made["id"])
    if what == "a property":
        answer = await caller.call("PATCH", "/v1/settings", json={"custom_properties": [{"name": "budget", "type": "number"}]})
    else:
        answer = await caller.call("PATCH", f"/v1/schedules/{made['id']}", json={"export": DELTAS})
    assert answer.status_code == 200
    changed = await ran(world, caller, made["id"])
    assert (changed["delta"]["whole"]["code"], (await caller.get(changed["export_id"]))["request"].get("filter")) == (
        "export_changed",
        None,
    )
    assert (await ran(world, caller, made["id"]))["delta"]["since"] == changed["export_id"]


async def test_runs_never_stand_side_by_side(world: World, caller: Caller) -> None:
    made = await make(caller, export=DELTAS)
    one = (await caller.call("POST", f"/v1/schedules/{made['id']}/run")).json()
    two = (await caller.call("POST", f"/v1/schedules/{made['id']}/run")).json()
    assert (one["status"], two["status"], two["reason"]["code"]) == ("running", "waiting", "runs_before")
    await world.drive(one["export_id"])
    await tick(world)
    found = {r["id"]: r for r in await runs(caller, made["id"])}
    assert (found[two["id"]]["status"], found[two["id"]]["delta"]["since"]) == ("completed", one["export_id"])


async def test_a_failed_run_is_nobodys_base(world: World, caller: Caller) -> None:
    made = await make(caller, export=DELTAS)
    world.clock.forward(HOUR)
    first = await ran(world, caller, made["id"])
    cancelled = (await caller.call("POST", f"/v1/schedules/{made['id']}/run")).json()
    await caller.call("DELETE", f"/v1/exports/{cancelled['export_id']}")
    assert (await ran(world, caller, made["id"]))["delta"]["since"] == first["export_id"]


@pytest.mark.parametrize(
    ("export", "status", "fields"),
    [
        (DELTAS | {"since": "exp_1"}, 400, ["export.since"]), (DELTAS | {"since": None}, 400, ["export.since"]),
        ({"dataset": "messages", "format": "csv", "since": "previous"}, 422, ["export.since"]),
        ({"dataset": "teams", "format": "csv", "since": "previous"}, 422, ["export.since"]),
        ({"dataset": "leads", "format": "txt", "since": "previous"}, 422, ["export.format"]),
        (DELTAS | {"from": "2026-03-01"}, 400, ["export.from"]),
    ],
)  # fmt: skip
async def test_what_can_not_be_measured_is_refused_by_name(caller: Caller, export: Any, status: int, fields: list[str]) -> None:
    answer = await caller.call("POST", "/v1/schedules", json={"name": "n", "frequency": "daily", "export": export})
    assert (answer.status_code, [d["field"] for d in answer.json()["error"]["details"]]) == (status, fields), answer.text


async def test_there_is_nothing_to_backfill_and_of_missed_windows_the_newest_runs(world: World, caller: Caller) -> None:
    made = await make(caller, export=DELTAS)
    refused = await caller.call("POST", f"/v1/schedules/{made['id']}/backfill", json={"from": "2026-03-01", "to": "2026-03-02"})
    assert refused.status_code == 422 and "a delta" in refused.text
    world.clock.forward(5 * HOUR)
    await tick(world)
    newest, passed = await runs(caller, made["id"])
    assert (newest["status"], passed["status"], passed["windows"]) == ("completed", "skipped", 3)
