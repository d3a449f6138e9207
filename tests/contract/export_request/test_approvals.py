"""Exports above the organisation's threshold wait for somebody else: who may decide, what follows, and that nothing waits for ever."""

import asyncio
import json
from typing import Any

import pytest

from tests.conftest import Database
from tests.contract.export_request.conftest import LEADS, Caller, World, world_of
from tests.contract.export_request.test_requests_over_kafka import as_json

DAY = 86_400


async def strict(world: World, leads: int, threshold: int | None = 5) -> tuple[Caller, Caller]:
    """An organisation with a threshold: who asks, and another admin."""
    caller = await world.organisation(leads=leads)
    assert (await caller.call("PATCH", "/v1/settings", json={"approval_rows_threshold": threshold})).status_code == 200
    return caller, await admin_of(caller, "boss")


async def admin_of(caller: Caller, name: str, *scopes: str) -> Caller:
    made = await caller.call("POST", "/v1/api-keys", json={"name": name, "scopes": list(scopes) or ["admin"]})
    return Caller(caller.world, caller.org_id, made.json()["key"])


async def waiting(world: World, caller: Caller, body: dict[str, Any] = LEADS) -> str:
    export = await caller.ask(body)
    await world.planned()
    shown = await caller.get(export["id"])
    assert (shown["status"], shown["progress"]["queue_position"], shown["started_at"]) == ("awaiting_approval", None, None)
    return str(export["id"])


async def decide(by: Caller, export_id: str, decision: str, **options: Any) -> tuple[int, dict[str, Any]]:
    answer = await by.call("POST", f"/v1/exports/{export_id}/{decision}", **options)
    found: dict[str, Any] = answer.json()
    return answer.status_code, found


@pytest.mark.parametrize("leads", [8, 25])  # an express export, and one of several chunks
async def test_it_waits_with_its_rows_counted_and_goes_on_once_somebody_else_approves(world: World, leads: int) -> None:
    caller, boss = await strict(world, leads)
    export_id = await waiting(world, caller)
    await world.admin.execute(
        "UPDATE ingest.leads SET ended = pg_current_xact_id() WHERE org_id = $1", caller.org_id
    )  # its instant is that of acceptance
    messages = await world.outbox()
    assert world.chunks(messages) == []
    assert world.commands(export_id) == []
    assert [e.event for e in world.events(export_id)] == ["accepted", "awaiting_approval"]
    assert world.events(export_id)[-1].data["progress"]["rows_planned"] > 5  # so far
    assert (await caller.get(export_id))["progress"]["rows_planned"] == leads
    listed = (await boss.call("GET", "/v1/exports", params={"status": "awaiting_approval"})).json()["data"]
    assert [e["id"] for e in listed] == [export_id]
    world.clock.forward(3 * DAY)
    status, approved = await decide(boss, export_id, "approve")
    assert (status, approved["status"], approved["approval"]["rows_above"]) == (200, "planning", 5)
    assert approved["approval"]["decided_by"].startswith("key:")
    assert approved["expires_at"] > (await caller.get(export_id))["created_at"]
    assert (await decide(boss, export_id, "approve"))[0] == 200  # again: nothing happens
    await world.drive(export_id)
    done = await caller.get(export_id)
    assert (done["status"], done["progress"]["rows_written"]) == ("completed", leads)
    await world.audited()
    entries = (await boss.call("GET", "/v1/audit")).json()["data"]
    (entry,) = [e for e in entries if e["action"] == "export.approved"]
    assert entry["details"]["rows"] == leads
    assert entry["details"]["requested_by"].startswith("key:")


async def test_up_to_the_threshold_nobody_has_to(world: World) -> None:
    caller, _ = await strict(world, 25, threshold=25)
    done = await caller.completed()
    assert (done["approval"], done["progress"]["rows_written"]) == (None, 25)
    none, _ = await strict(world, 0, threshold=0)
    assert (await none.completed())["status"] == "completed"


async def test_who_may_decide(world: World) -> None:
    caller, boss = await strict(world, 8)
    export_id = await waiting(world, caller)
    for decision in ("approve", "reject"):
        status, answer = await decide(caller, export_id, decision)
        assert (status, answer["error"]["code"]) == (403, "forbidden")
        assert "somebody else" in answer["error"]["message"]
        assert (await decide(await admin_of(caller, "writer", "exports:write", "exports:download"), export_id, decision))[0] == 403
        assert (await decide(await world.organisation(), export_id, decision))[0] == 404
        assert (await decide(boss, "exp_00000000000000000000000000", decision))[0] == 404
    assert (await decide(boss, export_id, "reject", json={"reason": "x" * 501}))[0] == 400
    assert (await decide(boss, export_id, "reject", json={"why": "x"}))[0] == 400
    assert (await decide(boss, export_id, "approve", json={"reason": "x"}))[0] == 400
    assert (await caller.get(export_id))["status"] == "awaiting_approval"


async def test_a_rejected_one_has_failed_with_the_reason(world: World) -> None:
    caller, boss = await strict(world, 25)
    export_id = await waiting(world, caller)
    status, rejected = await decide(boss, export_id, "reject", json={"reason": "Ask for March alone."})
    assert (status, rejected["status"]) == (200, "failed")
    assert rejected["error"] == {"code": "rejected", "message": "The export was rejected: Ask for March alone."}
    assert (await decide(boss, export_id, "reject"))[0] == 200
    assert (await decide(boss, export_id, "approve"))[0] == 409
    await world.planned()
    assert world.chunks(await world.outbox()) == []
    assert [e.event for e in world.events(export_id)] == ["accepted", "awaiting_approval", "failed"]
    assert world.discards(export_id) == [True]
    assert await world.admin.fetchval("SELECT count(*) FROM exports.chunks WHERE export_id = $1", export_id) == 0
    plain = await (await world.organisation(leads=1)).completed()
    assert (await decide(boss, plain["id"], "approve"))[0] == 404


async def test_one_that_does_not_wait_can_not_be_approved(world: World) -> None:
    caller, boss = await strict(world, 3)
    done = await caller.completed()
    assert [(await decide(boss, done["id"], decision))[0] for decision in ("approve", "reject")] == [409, 409]


async def test_asked_for_over_kafka_by_whom_a_key_is_named_after(world: World) -> None:
    caller, boss = await strict(world, 8)
    await world.parts.handlers.export_requests(as_json(caller, LEADS, requested_by="boss"))
    await world.planned()
    (export,) = (await caller.call("GET", "/v1/exports")).json()["data"]
    assert export["status"] == "awaiting_approval"
    assert (await decide(boss, export["id"], "approve"))[0] == 403
    assert (await decide(caller, export["id"], "approve"))[0] == 200
    await world.drive(export["id"])
    assert (await caller.get(export["id"]))["status"] == "completed"


async def test_cancelled_lapsed_and_erased_while_it_waits(world: World) -> None:
    caller, boss = await strict(world, 25)
    cancelled, lapsed = await waiting(world, caller), await waiting(world, caller)
    assert (await caller.call("DELETE", f"/v1/exports/{cancelled}")).status_code == 202
    assert (await caller.get(cancelled))["status"] == "cancelled"
    assert (await decide(boss, cancelled, "approve"))[0] == 409
    world.clock.forward(7 * DAY - 60)
    await world.parts.sweeper.sweep()
    assert (await caller.get(lapsed))["status"] == "awaiting_approval"  # nor is it stalled
    world.clock.forward(120)
    await world.parts.sweeper.sweep()
    assert (await caller.get(lapsed))["error"] == {"code": "approval_lapsed", "message": "Nobody approved the export within 7 days."}


async def test_decisions_at_once_are_one(world: World) -> None:
    caller, boss = await strict(world, 25)
    for _ in range(6):
        export_id = await waiting(world, caller)
        other = await admin_of(caller, "other")
        answers = await asyncio.gather(
            decide(boss, export_id, "approve"), decide(other, export_id, "reject"), decide(boss, export_id, "approve"),
            caller.call("DELETE", f"/v1/exports/{export_id}"),
        )  # fmt: skip
        await world.outbox()
        assert {a[0] for a in answers[:3]} <= {200, 404, 409}  # type: ignore[index]
        told = [e.event for e in world.events(export_id)]
        assert told in (["accepted", "awaiting_approval", "cancelled"], ["accepted", "awaiting_approval", "failed"])
        if told[-1] == "failed":  # rejected, and deleted then
            assert (await caller.call("GET", f"/v1/exports/{export_id}")).status_code == 404
        else:
            assert (await caller.get(export_id))["status"] == "cancelled"


async def test_a_rerun_waits_too_and_the_setting_is_read_at_acceptance(world: World) -> None:
    caller, boss = await strict(world, 8)
    export_id = await waiting(world, caller)
    await caller.call("PATCH", "/v1/settings", json={"approval_rows_threshold": None})
    assert (await caller.get(export_id))["status"] == "awaiting_approval"
    await decide(boss, export_id, "approve")
    await world.drive(export_id)
    await caller.call("PATCH", "/v1/settings", json={"approval_rows_threshold": 1})
    again = (await caller.call("POST", f"/v1/exports/{export_id}/rerun")).json()
    await world.planned()
    assert (await caller.get(again["id"]))["status"] == "awaiting_approval"
    assert json.loads(json.dumps(await caller.get(again["id"])))["approval"]["decided_by"] is None


async def test_an_older_release_beside_it_takes_no_setting_that_it_would_pass_over(database: Database) -> None:
    async with world_of(database, messages_of="0.1.0-rc.2") as world:
        caller = await world.organisation()
        inside = [{"name": "a", "columns": {"events.card": "mask"}}]
        for changes in ({"approval_rows_threshold": 5}, {"redaction_profiles": inside}):
            answer = await caller.call("PATCH", "/v1/settings", json=changes)
            assert (answer.status_code, [d["field"] for d in answer.json()["error"]["details"]]) == (422, [*changes])
        assert (await caller.call("PATCH", "/v1/settings", json={"approval_rows_threshold": None})).status_code == 200


async def test_an_older_release_beside_it_takes_nothing_that_it_would_pass_over(database: Database) -> None:
    async with world_of(database, messages_of="0.1.0-rc.2") as world:
        caller = await world.organisation()
        named = [{"type": "email", "to": ["ada@b.example"]}]
        schedule = {"name": "Leads", "frequency": "daily"}
        asked = [
            ("/v1/exports", {"dataset": "leads", "destinations": named}, "destinations"),
            ("/v1/schedules", {**schedule, "export": {"dataset": "leads"}, "destinations": named}, "destinations"),
            ("/v1/schedules", {**schedule, "export": {"dataset": "leads", "since": "previous"}}, "export.since"),
        ]
        for path, body, field in asked:
            answer = await caller.call("POST", path, json=body)
            assert (answer.status_code, answer.json()["error"]["details"][0]["field"]) == (422, field), answer.text
        assert (await caller.call("POST", "/v1/schedules", json={**schedule, "export": {"dataset": "leads"}})).status_code == 201
