"""Where an export's files are to be brought: kept with it, shown to who asked, and told to nobody else."""

from typing import Any

import pytest

from services.delivery.core.notifications.events import notice_of
from tests.contract.export_request.conftest import LEADS, Caller, World
from tests.contract.export_request.scheduling import HOUR, NOON, look, make, runs, tick
from tests.contract.export_request.test_requests_over_kafka import as_json

ADA = "ada@customer.example"
TO_ADA: dict[str, Any] = {"type": "email", "to": [ADA]}


async def test_destinations_are_shown_in_the_request_and_nowhere_else(world: World) -> None:
    caller = await world.organisation(leads=12)
    where = [{"type": "s3", "id": await world.destination(caller.org_id)}, TO_ADA]
    done = await caller.completed(LEADS | {"destinations": where})
    assert done["request"] == LEADS | {"destinations": where}
    listed = (await caller.call("GET", "/v1/exports")).json()["data"]
    assert listed[0]["request"]["destinations"] == where
    kept = await world.admin.fetchrow("SELECT request, spec, destinations FROM exports.exports")
    assert ADA in kept["destinations"] and ADA not in kept["request"] + kept["spec"], "a manifest takes the request"
    noted = list(world.noted)
    assert not [m.topic for m in [*world.published, *noted] if ADA.encode() in m.value]
    asked = next(m.message for m in noted if m.message.action == "export.requested")  # type: ignore[attr-defined]
    assert f'"destinations": [{{"id": "{where[0]["id"]}", "type": "s3"}}, {{"addresses": 1, "type": "email"}}]' in asked.details


async def test_over_kafka_it_is_the_same_export(world: World) -> None:
    caller = await world.organisation(leads=2)
    body = LEADS | {"destinations": [TO_ADA]}
    await world.parts.handlers.export_requests(as_json(caller, body))
    again = await caller.ask(body, key="r1")
    assert again["request"]["destinations"] == [TO_ADA]
    other = await caller.call("POST", "/v1/exports", json=LEADS, headers={"Idempotency-Key": "r1"})
    assert other.status_code == 409, "destinations are part of what was asked for"


async def test_a_rerun_goes_nowhere(world: World) -> None:
    caller = await world.organisation(leads=2)
    done = await caller.completed(LEADS | {"destinations": [TO_ADA]})
    again = (await caller.call("POST", f"/v1/exports/{done['id']}/rerun")).json()
    assert again["request"] == LEADS
    assert await world.admin.fetchval("SELECT destinations FROM exports.exports WHERE id = $1", again["id"]) == "[]"


async def test_who_may_not_download_may_not_have_files_sent_to_addresses_of_their_choice(world: World) -> None:
    caller = await world.organisation(leads=2)
    made = await caller.call("POST", "/v1/api-keys", json={"name": "asks", "scopes": ["exports:write", "schedules:write"]})
    asks = Caller(world, caller.org_id, made.json()["key"])
    where = [{"type": "s3", "id": await world.destination(caller.org_id)}]
    assert (await asks.call("POST", "/v1/exports", json=LEADS | {"destinations": where})).status_code == 202
    for path, body in (("/v1/exports", LEADS), ("/v1/schedules", {"name": "n", "export": LEADS, "frequency": "daily"})):
        refused = await asks.call("POST", path, json={**body, "destinations": [TO_ADA]})
        assert (refused.status_code, "exports:download" in refused.text) == (403, True), path


@pytest.fixture
async def caller(world: World) -> Caller:
    world.clock.now = NOON
    return await world.organisation(leads=2)


async def test_each_run_of_a_schedule_has_its_destinations_and_says_what_became_of_it(world: World, caller: Caller) -> None:
    where = [{"type": "sftp", "id": await world.destination(caller.org_id, "sftp")}, TO_ADA]
    made = await make(caller, destinations=where)
    assert made["destinations"] == where
    run = (await caller.call("POST", f"/v1/schedules/{made['id']}/run")).json()
    await caller.call("POST", f"/v1/schedules/{made['id']}/backfill", json={"from": "2026-03-28T09:00:00Z", "to": "2026-03-28T10:00:00Z"})
    world.clock.forward(2 * HOUR)
    await tick(world)
    kept = await world.admin.fetch("SELECT DISTINCT destinations FROM exports.exports")
    assert [row["destinations"] for row in kept] == [f'[{{"type":"sftp","id":"{where[0]["id"]}"}},{{"type":"email","to":["{ADA}"]}}]']
    assert len(found := await runs(caller, made["id"])) == 3
    await world.admin.execute(
        "INSERT INTO delivery.deliveries (id, org_id, export_id, schedule_id, destination_id, key, type, recipients, event, small, status, attempts, error_code, error_message, created_at)"
        " VALUES ('dlv_1', $1, $2, $3, $4, $4, 'sftp', NULL, '', true, 'failed', 4, 'refused', 'Nobody listens.', now()),"
        " ('dlv_2', $1, $2, $3, NULL, 'email', 'email', $5, '', true, 'delivered', 1, NULL, NULL, now())",
        caller.org_id, run["export_id"], made["id"], where[0]["id"], [ADA],
    )  # fmt: skip
    shown = {r["id"]: r["deliveries"] for r in await runs(caller, made["id"])}
    assert shown.pop(run["id"]) == [
        {"id": "dlv_1", "destination": where[0]["id"], "type": "sftp", "status": "failed", "attempts": 4, "error": {"code": "refused", "message": "Nobody listens."}},
        {"id": "dlv_2", "destination": None, "type": "email", "status": "delivered", "attempts": 1, "error": None},
    ]  # fmt: skip
    assert list(shown.values()) == [[], []] and len(found) == 3


async def test_a_destination_that_was_deleted_stops_no_run(world: World, caller: Caller) -> None:
    gone = await world.destination(caller.org_id)
    made = await make(caller, destinations=[{"type": "s3", "id": gone}])
    await world.admin.execute("DELETE FROM delivery.destinations")
    run = (await caller.call("POST", f"/v1/schedules/{made['id']}/run")).json()
    assert run["status"] == "running"
    assert (await caller.get(run["export_id"]))["request"]["destinations"] == [{"type": "s3", "id": gone}]
    named = (await caller.call("PATCH", f"/v1/schedules/{made['id']}", json={"name": "Leads"})).json()
    assert named["destinations"] == [{"type": "s3", "id": gone}], "what isn't named isn't looked at"
    changed = await caller.call("PATCH", f"/v1/schedules/{made['id']}", json={"destinations": []})
    assert (changed.status_code, (await look(caller, made["id"]))["destinations"]) == (200, [])


async def test_a_run_that_failed_and_windows_that_were_skipped_are_told(world: World, caller: Caller) -> None:
    made = await make(caller, catch_up="newest")
    await world.admin.execute('UPDATE exports.schedules SET export = \'{"dataset": "leads", "columns": ["custom_gone"]}\'')
    world.clock.forward(4 * HOUR)
    await tick(world)
    await world.outbox()
    newest, passed = await runs(caller, made["id"])
    skipped, failed = world.events(made["id"])
    told = [notice_of(m.headers["ce_type"], world.clock.now, m.data) for m in (skipped, failed)]
    assert [m.headers["ce_source"] for m in (skipped, failed)] == ["/v1/schedules"] * 2
    assert (told[0].kind, told[0].subject["run_id"], told[0].subject["windows"]) == ("schedule_windows_skipped", passed["id"], 2)
    assert (told[1].kind, told[1].subject["run_id"], told[1].subject["code"]) == ("schedule_run_failed", newest["id"], "invalid_request")
    assert "'Leads, hourly'" in told[1].message and "columns.0" in told[1].message
