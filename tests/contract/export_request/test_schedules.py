"""Schedules over HTTP and by the scheduler, on a real PostgreSQL: windows run once, in order, whoever dies in between."""

import asyncio
import itertools
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import httpx
import pytest

from services.export_request.app import Parts, assemble
from services.export_request.intake import Intake
from services.export_request.schedules.scheduler import Scheduler
from shared.database import create_pool
from shared.messages import AssembleFile, ChunkFailed
from tests.conftest import Database
from tests.contract.export_request.conftest import OPERATOR, Caller, World, incoming, settings_for, world_of

LEADS: dict[str, Any] = {
    "name": "Leads, hourly",
    "export": {"dataset": "leads", "format": "csv"},
    "frequency": "hourly",
    "timezone": "Europe/Brussels",
    "sftp": True,
}
NOON = datetime(2026, 3, 28, 12, 20, tzinfo=UTC)
HOUR = 3600.0


@pytest.fixture
async def caller(world: World) -> Caller:
    world.clock.now = NOON
    return await world.organisation()


async def make(caller: Caller, **changes: Any) -> dict[str, Any]:
    answer = await caller.call("POST", "/v1/schedules", json=LEADS | changes)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    assert answer.headers["location"] == f"/v1/schedules/{made['id']}"
    return made


async def look(caller: Caller, schedule_id: str) -> dict[str, Any]:
    answer = await caller.call("GET", f"/v1/schedules/{schedule_id}")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def runs(caller: Caller, schedule_id: str, **query: Any) -> list[dict[str, Any]]:
    answer = await caller.call("GET", f"/v1/schedules/{schedule_id}/runs", params=query)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["data"]
    return found


async def tick(world: World) -> None:
    """The scheduler until there is nothing more to do, and every export that it began to its end."""
    while True:
        done = await world.parts.scheduler.step()
        running = await world.admin.fetch(
            "SELECT id FROM exports.exports WHERE status IN ('accepted', 'planning', 'formatting', 'assembling')"
        )
        if not done and not running:
            return
        for row in running:
            await world.drive(row["id"])


def windows_of(found: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(r["window"]["from"], r["window"]["to"]) for r in found]


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


@pytest.mark.parametrize(
    ("body", "status", "fields"),
    [
        ({}, 400, ["from", "to"]), ({"from": "2026-03-01", "to": "x", "more": 1, "again": "yes"}, 400, ["more", "to", "again"]), ([], 400, [""]),
        ({"from": "2026-03-02", "to": "2026-03-01"}, 422, ["to"]), ({"from": "2026-03-28T12:10:00", "to": "2026-03-28T12:50:00"}, 422, ["to"]),
        ({"from": "2027-01-01", "to": "2027-02-01"}, 422, ["to"]), ({"from": "2025-01-01", "to": "2026-03-01"}, 422, ["to"]),
    ],
)  # fmt: skip
async def test_backfills_that_make_no_sense_are_refused(caller: Caller, body: Any, status: int, fields: list[str]) -> None:
    made = await make(caller)
    answer = await caller.call("POST", f"/v1/schedules/{made['id']}/backfill", json=body)
    assert (answer.status_code, [d["field"] for d in answer.json()["error"]["details"]]) == (status, fields), answer.text


@pytest.mark.parametrize(
    ("change", "status", "fields"),
    [
        ({"name": ""}, 400, ["name"]), ({"name": None, "cron": 5}, 400, ["name", "cron"]), ({"frequency": "yearly"}, 400, ["frequency"]),
        ({"cron": "* * * * *"}, 400, ["cron"]), ({"frequency": None}, 400, ["frequency"]), ({"frequency": None, "cron": "61 * * * *"}, 400, ["cron"]),
        ({"timezone": "Mars/Olympus"}, 400, ["timezone"]), ({"sftp": "yes", "catch_up": "some"}, 400, ["sftp", "catch_up"]),
        ({"destinations": [{"type": "s3", "id": "dst_1"}]}, 404, ["destinations.0.id"]), ({"destinations": "s3"}, 400, ["destinations"]), ({"colour": 1}, 400, ["colour"]),
        ({"export": None}, 400, ["export"]), ({"export": {}}, 400, ["export.dataset"]),
        ({"export": {"dataset": "leads", "from": "2026-03-01", "to": "2026-04-01"}}, 400, ["export.from", "export.to"]),
        ({"export": {"dataset": "leads", "format": "docx", "columns": ["x"]}, "name": 7}, 400, ["name", "export.format"]),
        ({"export": {"dataset": "leads", "since": "exp_1"}}, 400, ["export.since"]), ({"export": {"dataset": "leads", "destinations": []}}, 400, ["export.destinations"]),
        ({"export": {"dataset": "leads", "format": "txt"}}, 422, ["export.format"]), ({"export": {"dataset": "leads", "password": "abcdefgh1"}}, 422, ["export.password"]),
        ({"export": {"dataset": "chat-data"}}, 422, ["export.purpose", "export.password"]),
        ({"frequency": None, "cron": "0 0 29 2 *", "export": {"dataset": "messages"}}, 422, ["cron"]),
    ],
)  # fmt: skip
async def test_what_is_wrong_with_a_schedule_is_named(caller: Caller, change: dict[str, Any], status: int, fields: list[str]) -> None:
    body = {name: value for name, value in (LEADS | change).items() if name != "frequency" or value is not None}
    answer = await caller.call("POST", "/v1/schedules", json=body)
    assert answer.status_code == status, answer.text
    assert {d["field"] for d in answer.json()["error"]["details"]} >= set(fields) and len(answer.json()["error"]["details"]) <= len(
        fields
    ) + 1


async def test_a_new_timing_begins_where_the_last_window_ended(world: World, caller: Caller) -> None:
    made = await make(caller)
    changed = (await caller.call("PATCH", f"/v1/schedules/{made['id']}", json={"cron": "30 * * * *"})).json()
    assert (changed["frequency"], changed["cron"], changed["next_window"]["from"]) == (None, "30 * * * *", "2026-03-28T12:30:00.000Z"), (
        "nothing has run: as if new"
    )
    world.clock.forward(HOUR + 20 * 60)
    await tick(world)
    changed = (await caller.call("PATCH", f"/v1/schedules/{made['id']}", json={"frequency": "daily", "name": "Daily"})).json()
    assert (changed["name"], changed["next_window"]) == ("Daily", {"from": "2026-03-28T13:30:00.000Z", "to": "2026-03-28T23:00:00.000Z"})
    kept = (await caller.call("PATCH", f"/v1/schedules/{made['id']}", json={"export": {"dataset": "leads", "format": "json"}})).json()
    assert (kept["next_window"], kept["export"]) == (changed["next_window"], {"dataset": "leads", "format": "json"})


async def test_a_password_is_kept_sealed_used_and_never_shown(world: World, caller: Caller) -> None:
    export = {"dataset": "chat-data", "format": "json", "purpose": "Quality", "password": "Secret4711x"}
    made = await make(caller, export=export, name="Chats")
    assert made["has_password"] and "password" not in made["export"] and made["export"]["purpose"] == "Quality"
    run = (await caller.call("POST", f"/v1/schedules/{made['id']}/run")).json()
    assert run["status"] == "running" and run["file_name"].endswith(".json.zip"), run
    protected = await world.admin.fetchval("SELECT protected FROM exports.exports WHERE id = $1", run["export_id"])
    assert protected
    changed = (
        await caller.call("PATCH", f"/v1/schedules/{made['id']}", json={"export": {k: v for k, v in export.items() if k != "password"}})
    ).json()
    assert changed["has_password"], "it stays where none is named"
    await world.audited()
    tables = await world.admin.fetch(
        "SELECT table_schema, table_name FROM information_schema.tables WHERE table_schema IN ('exports', 'tenancy')"
    )
    for table in tables:
        for row in await world.admin.fetch(f"SELECT t::text AS row FROM {table['table_schema']}.{table['table_name']} t"):
            assert "Secret4711x" not in row["row"] and b"Secret4711x".hex() not in row["row"], table
    assert await world.admin.fetchval("SELECT count(*) FROM exports.schedule_passwords") == 1
    off = (await caller.call("PATCH", f"/v1/schedules/{made['id']}", json={"export": {"dataset": "leads"}})).json()
    assert not off["has_password"] and await world.admin.fetchval("SELECT count(*) FROM exports.schedule_passwords") == 0
    limited = (await caller.call("POST", "/v1/api-keys", json={"name": "s", "scopes": ["schedules:write"]})).json()["key"]
    refused = await world.http.post("/v1/schedules", json=LEADS | {"export": export}, headers={"Authorization": f"Bearer {limited}"})
    assert refused.status_code == 403 and "exports:download" in refused.text


async def test_another_organisation_finds_nothing(world: World, caller: Caller) -> None:
    made, other = await make(caller), await world.organisation()
    for method, path in [
        ("GET", ""),
        ("PATCH", ""),
        ("DELETE", ""),
        ("POST", "/pause"),
        ("POST", "/resume"),
        ("POST", "/run"),
        ("GET", "/runs"),
        ("POST", "/backfill"),
    ]:
        body = (
            {"json": {"from": "2026-03-01", "to": "2026-03-02"}}
            if path == "/backfill"
            else {"json": {"name": "x"}}
            if method == "PATCH"
            else {}
        )
        assert (await other.call(method, f"/v1/schedules/{made['id']}{path}", **body)).status_code == 404, (method, path)
    assert (await other.call("GET", "/v1/schedules")).json()["data"] == []


async def test_lists_come_in_pages_and_a_deleted_schedule_leaves_its_exports(world: World, caller: Caller) -> None:
    made = [await make(caller, name=f"S{n}") for n in range(3)]
    page = (await caller.call("GET", "/v1/schedules", params={"limit": 2})).json()
    rest = (await caller.call("GET", "/v1/schedules", params={"limit": 2, "cursor": page["next_cursor"]})).json()
    assert [s["name"] for s in page["data"] + rest["data"]] == ["S0", "S1", "S2"] and rest["has_more"] is False
    world.clock.forward(4 * HOUR)
    await tick(world)
    first = (await caller.call("GET", f"/v1/schedules/{made[0]['id']}/runs", params={"limit": 2})).json()
    second = (await caller.call("GET", f"/v1/schedules/{made[0]['id']}/runs", params={"cursor": first["next_cursor"]})).json()
    assert len(first["data"]) == 2 and len(second["data"]) == 1
    assert (await caller.call("DELETE", f"/v1/schedules/{made[0]['id']}")).status_code == 204
    assert (await caller.call("GET", f"/v1/schedules/{made[0]['id']}")).status_code == 404
    assert (await caller.get(second["data"][0]["export_id"]))["status"] == "completed"
    await world.outbox()
    actions = [json.loads(m.value)["action"] if m.value[:1] == b"{" else m.message.action for m in world.noted]  # type: ignore[attr-defined]
    assert {"schedule.created", "schedule.deleted", "export.requested"} <= set(actions)


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


# ---- several schedulers, and those that die


async def beside(database: Database, world: World) -> tuple[asyncpg.Pool, Parts]:
    pool = create_pool(settings_for(database).export_request_database_url, "second", 8)
    await pool
    return pool, assemble(settings_for(database), pool, None, world.clock, time=world.clock.of_database)


async def test_two_schedulers_run_each_window_once(world: World, caller: Caller, database: Database) -> None:
    made = [await make(caller, name=f"S{n}", frequency=f) for n, f in enumerate(["hourly"] * 12)]
    pool, second = await beside(database, world)
    world.clock.forward(2 * HOUR)
    await asyncio.gather(*(s.step() for s in [world.parts.scheduler, second.scheduler] * 4))
    await asyncio.gather(*(s.step() for s in [world.parts.scheduler, second.scheduler] * 4))
    while await world.parts.scheduler.step():
        pass
    await pool.close()
    counted = await world.admin.fetch(
        "SELECT schedule_id, count(*) AS runs, count(DISTINCT export_id) AS exports FROM exports.schedule_runs GROUP BY schedule_id"
    )
    assert {(row["runs"], row["exports"]) for row in counted} == {(1, 1)} and len(counted) == len(made)
    assert await world.admin.fetchval("SELECT count(*) FROM exports.exports") == len(made)


class Dies(Exception):
    pass


async def test_a_scheduler_that_dies_between_deciding_and_starting_or_before_its_commit_leaves_the_window_to_others(
    world: World, caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = await make(caller)
    world.clock.forward(2 * HOUR)
    assert await world.parts.scheduler.decide_due() == 1  # and dies here: the run waits
    assert await world.parts.scheduler.decide_due() == 0
    accept: Callable[..., Awaitable[Any]] = Intake.in_transaction

    async def and_die(intake: Intake, *arguments: Any) -> Any:
        await accept(intake, *arguments)
        raise asyncio.CancelledError  # the process ends; nothing of the transaction is committed

    monkeypatch.setattr(Intake, "in_transaction", and_die)
    with pytest.raises(asyncio.CancelledError):
        await world.parts.scheduler.start_due()
    assert await world.admin.fetchval("SELECT count(*) FROM exports.exports") == 0 and await world.outbox() == []
    monkeypatch.undo()
    await tick(world)
    [run] = await runs(caller, made["id"])
    assert (run["status"], run["attempts"]) == ("completed", 1)


async def test_a_defect_ends_the_run_and_not_the_scheduler(world: World, caller: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    made = await make(caller)
    world.clock.forward(2 * HOUR)

    async def breaks(*_: Any) -> Any:
        raise Dies

    monkeypatch.setattr(Intake, "in_transaction", breaks)
    await world.parts.scheduler.step()
    await world.parts.scheduler.step()
    monkeypatch.undo()
    [run] = await runs(caller, made["id"])
    assert (run["status"], run["reason"]["code"]) == ("failed", "start_failed")
    world.clock.forward(HOUR)
    await tick(world)
    assert (await runs(caller, made["id"]))[0]["status"] == "completed"


async def test_nothing_is_decided_while_the_clocks_disagree_and_a_clock_set_back_repeats_nothing(world: World, caller: Caller) -> None:
    made = await make(caller)
    ahead = Scheduler(
        world.parts.scheduler._pool,
        world.parts.scheduler._intake,
        world.parts.outbox,
        "0" * 64,
        0,
        world.clock,
        lambda _: _later(world.clock.now, 2 * HOUR),
    )
    assert await ahead.decide_due() == 0 and await runs(caller, made["id"]) == []
    world.clock.forward(2 * HOUR)
    await tick(world)
    [run] = await runs(caller, made["id"])
    world.clock.forward(-2 * HOUR)
    await tick(world)
    world.clock.forward(2 * HOUR)
    await tick(world)
    assert [r["id"] for r in await runs(caller, made["id"])] == [run["id"]]


async def _later(now: datetime, seconds: float) -> datetime:
    return now + timedelta(seconds=seconds)


async def test_schedules_of_one_moment_are_spread_and_their_windows_are_not_moved(world: World, caller: Caller) -> None:
    made = [await make(caller, name=f"S{n}") for n in range(40)]
    due = [datetime.fromisoformat(s["next_run_at"]) for s in made]
    ends = datetime.fromisoformat("2026-03-28T14:00:00+00:00")
    assert {s["next_window"]["to"] for s in made} == {"2026-03-28T14:00:00.000Z"}
    late = sorted((at - ends).total_seconds() for at in due)
    assert 0 <= late[0] < 30 and 90 < late[-1] <= 120 and len(set(due)) == 40
    assert [(await look(caller, s["id"]))["next_run_at"] for s in made[:5]] == [s["next_run_at"] for s in made[:5]]


async def test_schedules_survive_a_new_process(database: Database) -> None:
    async with world_of(database) as before:
        before.clock.now = NOON
        caller = await before.organisation()
        made = await make(caller)
        await before.parts.scheduler.decide_due()
    async with world_of(database, keep=True) as after:
        after.clock.now = NOON + timedelta(hours=30)
        there = Caller(after, caller.org_id, caller.api_key)
        await tick(after)
        found = await runs(there, made["id"])
        assert len(found) == 29 and {r["status"] for r in found} == {"completed"}
        pairs = windows_of(found)
        assert all(newer[0] == older[1] for newer, older in itertools.pairwise(pairs)), "touching, none left out"
        assert isinstance(there.world.http, httpx.AsyncClient)
