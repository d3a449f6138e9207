"""A held export outlives its time, its deletion and an erasure; released, it goes as it would have."""

import json
from datetime import timedelta

import pytest

from tests.contract.export_request.conftest import LEADS, Caller, World

WHY = {"reason": "Case 2026-117"}


async def hold(caller: Caller, export_id: str, body: object = WHY) -> int:
    return (await caller.call("PUT", f"/v1/exports/{export_id}/hold", json=body)).status_code


async def release(caller: Caller, export_id: str) -> int:
    return (await caller.call("DELETE", f"/v1/exports/{export_id}/hold")).status_code


async def test_a_held_export_does_not_expire_and_can_not_be_deleted(world: World) -> None:
    caller = await world.organisation(leads=2)
    export, other = await caller.completed(LEADS | {"expires_in_seconds": 60}), await caller.completed(LEADS | {"expires_in_seconds": 60})
    held = await caller.call("PUT", f"/v1/exports/{export['id']}/hold", json=WHY)
    assert (held.status_code, held.json()["hold"]["reason"], held.json()["hold"]["held_by"][:4]) == (200, WHY["reason"], "key:")
    world.clock.forward(3600)
    await world.parts.sweeper.sweep()
    assert [(await caller.get(e["id"]))["status"] for e in (export, other)] == ["completed", "expired"]
    refused = await caller.call("DELETE", f"/v1/exports/{export['id']}")
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "conflict")
    assert "held" in refused.json()["error"]["message"]
    listed = (await caller.call("GET", "/v1/exports?held=true")).json()["data"]
    assert [(e["id"], e["hold"]["reason"]) for e in listed] == [(export["id"], WHY["reason"])]
    await world.outbox()
    assert True not in world.discards(export["id"])

    assert await release(caller, export["id"]) == 200
    await world.parts.sweeper.sweep()
    ended = await caller.get(export["id"])
    assert (ended["status"], ended["hold"]) == ("expired", None)
    await world.outbox()
    assert world.discards(export["id"])[-1] is True
    assert await hold(caller, export["id"]) == 409, "its files are gone"
    assert (await caller.call("DELETE", f"/v1/exports/{export['id']}")).status_code == 204


async def test_who_held_and_released_is_in_the_audit_trail_once(world: World) -> None:
    caller = await world.organisation(leads=2)
    export = await caller.completed()
    for _ in range(2):
        assert await hold(caller, export["id"]) == 200
    assert await hold(caller, export["id"], {"reason": "Case 2026-118"}) == 200
    for _ in range(2):
        assert await release(caller, export["id"]) == 200
    await world.outbox()
    noted = [m.message for m in world.noted if m.message.subject == export["id"]]  # type: ignore[union-attr]
    assert [(e.action, e.purpose) for e in noted][-3:] == [  # type: ignore[union-attr]
        ("export.held", "Case 2026-117"), ("export.held", "Case 2026-118"), ("export.released", ""),
    ]  # fmt: skip


async def test_what_can_not_be_held_and_by_whom(world: World) -> None:
    caller, stranger = await world.organisation(leads=2), await world.organisation()
    running = await caller.ask()
    assert await hold(caller, running["id"]) == 409
    done = await caller.completed()
    assert [await hold(stranger, done["id"]), await release(stranger, done["id"]), await hold(caller, "exp_nothing")] == [404] * 3
    for body in ({}, {"reason": ""}, {"reason": "a\nb"}, {"reason": 7}, {"reason": "x", "until": "2027"}):
        assert await hold(caller, done["id"], body) == 400
    made = await caller.call("POST", "/v1/api-keys", json={"name": "writer", "scopes": ["exports:read", "exports:write"]})
    writer = Caller(world, caller.org_id, made.json()["key"])
    assert [await hold(writer, done["id"]), await release(writer, done["id"])] == [403, 403]
    assert (await caller.call("GET", "/v1/exports?held=yes")).status_code == 400


ERASE = "INSERT INTO ingest.erasures (org_id, oldest, id, kind) VALUES ($1, '3', 'era_' || $1, 'lead')"
LISTED = "SELECT ended_as, files::text, recalled_at FROM exports.recalls WHERE erasure_id = 'era_' || $1"


@pytest.mark.parametrize("released", ["in time", "late"])
async def test_an_erasure_recalls_a_held_export_once_it_is_released(world: World, released: str) -> None:
    caller = await world.organisation(leads=2)
    export = await caller.completed(LEADS | {"expires_in_seconds": 600})
    await hold(caller, export["id"])
    await world.admin.execute(ERASE, caller.org_id)
    for _ in range(2):
        await world.parts.sweeper.sweep()
    row = await world.admin.fetchrow(LISTED, caller.org_id)
    assert (row["ended_as"], json.loads(row["files"]), row["recalled_at"]) == ("completed", [export["files"][0]["name"]], None)
    assert (await caller.get(export["id"]))["status"] == "completed"
    assert (await caller.call("POST", f"/v1/exports/{export['id']}/rerun")).status_code == 410, "the person's rows are gone at once"

    await world.admin.execute("UPDATE ingest.erasures SET erased_at = now() - interval '1 hour'")
    if released == "late":
        world.clock.now += timedelta(days=40)
    await release(caller, export["id"])
    await world.parts.sweeper.sweep()
    await world.outbox()
    assert (await caller.get(export["id"]))["status"] == "expired"
    assert world.discards(export["id"])[-1] is True
    assert (await world.admin.fetchval("SELECT recalled_at FROM exports.recalls WHERE org_id = $1", caller.org_id)) == world.clock.now
