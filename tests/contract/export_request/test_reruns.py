"""An export run again: the same plan at the same instant under an id of its own, and when that can't be."""

import json
from typing import Any

import pytest

from shared.digests import files_sha256
from tests.conftest import Database
from tests.contract.export_request.conftest import LEADS, Caller, World, world_of


async def rerun(caller: Caller, export_id: str, key: str = "", **options: Any) -> Any:
    headers = {"Idempotency-Key": key} if key else {}
    return await caller.call("POST", f"/v1/exports/{export_id}/rerun", headers=headers, **options)


async def test_a_rerun_has_the_plan_and_the_instant_of_the_first(world: World) -> None:
    caller = await world.organisation(leads=25)
    first = await caller.completed(LEADS | {"max_rows_per_file": 12, "compression": "gzip", "labels": {"team": "sales"}})
    await world.admin.execute(
        "UPDATE ingest.leads SET ended = pg_current_xact_id() WHERE org_id = $1 AND id > 'lead_000003'", caller.org_id
    )
    answer = await rerun(caller, first["id"])
    again = answer.json()
    assert (answer.status_code, answer.headers["location"]) == (202, f"/v1/exports/{again['id']}")
    assert (again["rerun_of"], again["request"], again["status"]) == (first["id"], first["request"], "accepted")
    assert again["id"] != first["id"]
    await world.drive(again["id"])
    done = await caller.get(again["id"])
    assert (done["status"], done["progress"]["rows_planned"]) == ("completed", 25), done
    assert [f["name"] for f in done["files"]] == [f["name"].replace(first["id"], again["id"]) for f in first["files"]]
    manifest = json.loads(world.commands(again["id"])[-1].manifest)
    files = [("csv", n, f["bytes"], f["sha256"]) for n, f in enumerate(first["files"], 1)]
    assert manifest["reproduces"] == {"export_id": first["id"], "files_sha256": files_sha256(files)}
    assert "reproduces" not in json.loads(world.commands(first["id"])[-1].manifest)
    rows = await world.admin.fetch("SELECT spec, snapshot, labels FROM exports.exports WHERE org_id = $1", caller.org_id)
    assert len({tuple(row) for row in rows}) == 1


async def test_chunks_end_where_they_did_though_the_settings_have_changed(database: Database) -> None:
    async with world_of(database, chunk_rows_max=4) as before:
        caller = await before.organisation(leads=10)
        first = await caller.ask()
        await before.drive(first["id"])
        bounds = [c.upper for c in before.chunks(before.published)]
    async with world_of(database, chunk_rows_max=1000, keep=True) as after:
        caller = Caller(after, caller.org_id, caller.api_key)
        again = (await rerun(caller, first["id"])).json()
        await after.drive(again["id"])
        assert [c.upper for c in after.chunks(after.published)] == bounds
        assert len(bounds) == 3
        new = await caller.ask()
        await after.planned()
        assert [c.rows for c in after.chunks(await after.outbox()) if c.export_id == new["id"]] == [10]


async def test_a_key_stands_for_one_rerun_and_for_nothing_else(world: World) -> None:
    caller = await world.organisation(leads=2)
    first, other = await caller.completed(), await caller.completed()
    again = (await rerun(caller, first["id"], "k1")).json()
    assert (await rerun(caller, first["id"], "k1")).json()["id"] == again["id"]
    assert again["request_id"] == "k1"
    assert (await rerun(caller, other["id"], "k1")).status_code == 409
    assert (await caller.call("POST", "/v1/exports", json=LEADS, headers={"Idempotency-Key": "k1"})).status_code == 409
    assert (await rerun(caller, first["id"])).json()["id"] != again["id"]
    assert (await rerun(caller, first["id"], "x" * 256)).status_code == 400


async def test_what_has_not_ended_is_not_there_or_is_asked_for_wrongly(world: World) -> None:
    caller, stranger = await world.organisation(leads=2), await world.organisation()
    running = await caller.ask()
    refused = await rerun(caller, running["id"])
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "conflict")
    await world.drive(running["id"])
    assert (await rerun(stranger, running["id"])).status_code == 404
    assert (await rerun(caller, "exp_nothing")).status_code == 404
    assert (await rerun(caller, running["id"], content=b'{"dataset": "leads"}')).status_code == 400
    assert (await caller.call("POST", f"/v1/exports/{running['id']}/rerun?a=1")).status_code == 400
    assert (await rerun(caller, running["id"], content=b"{}")).status_code == 202
    made = await caller.call("POST", "/v1/api-keys", json={"name": "reader", "scopes": ["exports:read"]})
    reader = Caller(world, caller.org_id, made.json()["key"])
    assert (await rerun(reader, running["id"])).status_code == 403
    assert (await caller.call("DELETE", f"/v1/exports/{running['id']}")).status_code == 204
    assert (await rerun(caller, running["id"])).status_code == 404


async def test_an_export_that_never_published_runs_again_and_claims_nothing(world: World) -> None:
    caller = await world.organisation(leads=2)
    cancelled = await caller.ask()
    assert (await caller.call("DELETE", f"/v1/exports/{cancelled['id']}")).status_code == 202
    await world.planned()
    await world.outbox()
    again = (await rerun(caller, cancelled["id"])).json()
    await world.drive(again["id"])
    assert (await caller.get(again["id"]))["status"] == "completed"
    assert "reproduces" not in json.loads(world.commands(again["id"])[-1].manifest)


async def test_an_expired_export_can_be_had_again_and_is_kept_as_long(world: World) -> None:
    caller = await world.organisation(leads=2)
    first = await caller.completed(LEADS | {"expires_in_seconds": 60})
    world.clock.forward(61)
    await world.parts.sweeper.sweep()
    assert (await caller.get(first["id"]))["status"] == "expired"
    again = (await rerun(caller, first["id"])).json()
    assert again["expires_at"] > again["created_at"]
    await world.drive(again["id"])
    world.clock.forward(61)
    await world.parts.sweeper.sweep()
    assert (await caller.get(again["id"]))["status"] == "expired"


ERASE = "INSERT INTO ingest.erasures (org_id, oldest) VALUES ($1, $2::text::xid8)"


@pytest.mark.parametrize("seen", [True, False])
async def test_an_instant_that_saw_an_erased_person_is_gone(world: World, seen: bool) -> None:
    caller, other = await world.organisation(leads=2), await world.organisation(leads=2)
    await world.admin.execute(ERASE, caller.org_id, "1")  # before the export: it doesn't see it, and nothing is lost
    export, theirs = await caller.completed(), await other.completed()
    oldest = "3" if seen else await world.admin.fetchval("SELECT pg_current_xact_id()::text")
    await world.admin.execute(ERASE, caller.org_id, oldest)
    answer = await rerun(caller, export["id"])
    assert answer.status_code == (410 if seen else 202)
    assert not seen or answer.json()["error"]["code"] == "gone"
    assert (await rerun(other, theirs["id"])).status_code == 202


async def test_an_instant_from_another_life_of_the_database_is_gone(world: World) -> None:
    caller = await world.organisation(leads=2)
    export = await caller.completed()
    await world.admin.execute("UPDATE exports.exports SET snapshot = '900000000000:900000000000:' WHERE id = $1", export["id"])
    answer = await rerun(caller, export["id"])
    assert (answer.status_code, "restored" in answer.json()["error"]["message"]) == (410, True)
