"""Schedules over HTTP: what is taken, shown and refused."""

import asyncio
import json
from collections import Counter
from typing import Any

import pytest

from services.export_request.schedules import schedules
from tests.contract.export_request.conftest import Caller, World
from tests.contract.export_request.scheduling import HOUR, LEADS, NOON, make, tick


@pytest.fixture
async def caller(world: World) -> Caller:
    world.clock.now = NOON
    return await world.organisation()


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


async def test_there_are_never_more_than_may_be_however_many_are_made_at_once(caller: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schedules, "SCHEDULES_MAX", 2)
    answers = await asyncio.gather(*(caller.call("POST", "/v1/schedules", json=LEADS) for _ in range(5)))
    listed = (await caller.call("GET", "/v1/schedules")).json()["data"]
    assert Counter(each.status_code for each in answers) == {201: 2, 409: 3} and len(listed) == 2


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
