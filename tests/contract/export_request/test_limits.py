"""What an organisation may use: exact whatever process answers, told clearly, and shown."""

import asyncio
from typing import Any

import httpx

from services.export_request.app import assemble
from shared.clock import utc_now
from shared.database import create_pool
from tests.conftest import Database
from tests.contract.export_request.conftest import LEADS, OPERATOR, Caller, World, settings_for

AS_OPERATOR = {"Authorization": f"Bearer {OPERATOR}"}


async def limit(caller: Caller, **limits: Any) -> None:
    answer = await caller.world.http.patch(f"/v1/organisations/{caller.org_id}", json={"limits": limits}, headers=AS_OPERATOR)
    assert answer.status_code == 200, answer.text
    assert answer.json()["limits"].items() >= limits.items()


async def usage(caller: Caller) -> dict[str, Any]:
    answer = await caller.call("GET", "/v1/usage")
    assert answer.status_code == 200, answer.text
    said: dict[str, Any] = answer.json()
    return said


async def test_exports_at_once_are_exact_over_processes_and_room_comes_back(world: World, database: Database) -> None:
    caller, other = await world.organisation(), await world.organisation()
    await limit(caller, exports_at_once=3)
    pool = create_pool(settings_for(database).export_request_database_url, "second", 8)
    async with pool:
        second = httpx.ASGITransport(assemble(settings_for(database), pool, None, world.clock).http)
        async with httpx.AsyncClient(transport=second, base_url="http://waybill") as http:
            there = Caller(World(world.parts, world.admin, http, world.clock), caller.org_id, caller.api_key)
            answers = await asyncio.gather(*(each.call("POST", "/v1/exports", json=LEADS) for _ in range(6) for each in (caller, there)))
    accepted = [a.json() for a in answers if a.status_code == 202]
    refused = [a for a in answers if a.status_code == 429]
    assert (len(accepted), len(refused)) == (3, 9)
    error = refused[0].json()["error"]
    assert (error["code"], error["limit"], refused[0].headers["retry-after"]) == ("rate_limited", "exports_at_once", "5")
    assert "3 at once is its limit" in error["message"]
    assert (await usage(caller))["exports"] == {"running": 3, "limit": 3}
    await other.ask()
    await caller.call("DELETE", f"/v1/exports/{accepted[0]['id']}")
    assert (await usage(caller))["exports"]["running"] == 2
    await caller.ask()


async def test_a_repeat_of_a_request_needs_no_room(world: World) -> None:
    caller = await world.organisation()
    await limit(caller, exports_at_once=1)
    first = await caller.ask(key="k")
    assert (await caller.ask(key="k"))["id"] == first["id"]
    assert (await caller.call("POST", "/v1/exports", json=LEADS, headers={"Idempotency-Key": "other"})).status_code == 429


async def test_rows_a_day_end_the_export_that_would_go_beyond_and_refuse_the_next(world: World) -> None:
    caller = await world.organisation(leads=25)
    await limit(caller, rows_a_day=60)
    for _ in range(2):
        await caller.completed()
    assert (await usage(caller))["rows"]["today"] == 50
    third = await caller.ask()
    await world.planned()
    ended = await caller.get(third["id"])
    assert (ended["status"], ended["error"]["code"]) == ("failed", "rows_limit")
    assert (await usage(caller))["rows"] | {"resets_at": ""} == {"today": 50, "limit": 60, "resets_at": ""}, "what didn't fit isn't counted"
    await limit(caller, rows_a_day=50)
    refused = await caller.call("POST", "/v1/exports", json=LEADS)
    assert (refused.status_code, refused.json()["error"]["limit"]) == (429, "rows_a_day")
    assert 0 < int(refused.headers["retry-after"]) <= 86_400
    world.clock.now = utc_now()
    await limit(caller, rows_a_day=0)
    await caller.completed()
    assert (await usage(caller))["rows"]["limit"] is None


async def test_requests_a_second_of_all_keys_together(world: World) -> None:
    caller, other = await world.organisation(), await world.organisation()
    key = (await caller.call("POST", "/v1/api-keys", json={"name": "k", "scopes": ["exports:read"]})).json()["key"]
    await limit(caller, requests_per_second=5)
    await world.admin.execute("DELETE FROM tenancy.request_buckets WHERE org_id = $1", caller.org_id)
    reader = Caller(world, caller.org_id, key)
    answers = await asyncio.gather(*(each.call("GET", "/v1/settings") for _ in range(20) for each in (caller, reader)))
    taken = (
        await world.admin.fetchrow(
            "SELECT left_over, clock_timestamp() - at AS ago FROM tenancy.request_buckets WHERE org_id = $1", caller.org_id
        )
    )["left_over"]
    good = sum(a.status_code == 200 for a in answers)
    assert 5 <= good < 40
    assert taken < 1
    refused = next(a for a in answers if a.status_code == 429)
    assert refused.headers["ratelimit-policy"] == '"organisation";q=5;w=1'
    assert (refused.headers["retry-after"], "5 requests a second by your organisation" in refused.text) == ("1", True)
    assert (await other.call("GET", "/v1/settings")).status_code == 200
    wrong = await asyncio.gather(*(world.http.get("/v1/settings", headers={"Authorization": f"Bearer {key[:-2]}zz"}) for _ in range(20)))
    assert {a.status_code for a in wrong} == {401}, "who has no good key takes nothing, and is told nothing"


async def test_limits_are_the_operators_and_checked_by_name(world: World) -> None:
    caller = await world.organisation()
    path = f"/v1/organisations/{caller.org_id}"
    assert (await caller.call("PATCH", path, json={})).status_code == 401
    wrong = await world.http.patch(
        path, json={"limits": {"x": 1, "rows_a_day": -1, "exports_at_once": 1.5}, "name": "", "org_id": "y"}, headers=AS_OPERATOR
    )
    assert [d["field"] for d in wrong.json()["error"]["details"]] == [
        "org_id",
        "name",
        "limits.x",
        "limits.exports_at_once",
        "limits.rows_a_day",
    ]
    assert (await world.http.patch("/v1/organisations/nobody", json={}, headers=AS_OPERATOR)).status_code == 404
    await limit(caller, rows_a_day=7)
    changed = (await world.http.patch(path, json={"name": "New", "limits": {"rows_a_day": None}}, headers=AS_OPERATOR)).json()
    assert (changed["name"], changed["limits"]) == ("New", {"requests_per_second": None, "exports_at_once": None, "rows_a_day": None})
    await world.audited()
    told = [e["details"] for e in (await caller.call("GET", "/v1/audit?action=organisation.changed")).json()["data"]]
    assert told[1] == {"rows_a_day": {"old": None, "new": 7}}


async def test_a_keys_last_use_is_noted_to_the_minute(world: World) -> None:
    caller = await world.organisation()
    made = (await caller.call("POST", "/v1/api-keys", json={"name": "k", "scopes": ["exports:read"]})).json()

    async def key() -> dict[str, Any]:
        listed = (await caller.call("GET", "/v1/api-keys")).json()["data"]
        return next(k for k in listed if k["id"] == made["id"])

    assert (await key())["last_used_at"] is None
    assert (await key())["prefix"] == f"sk_live_{made['id']}_"
    for _ in range(3):
        await Caller(world, caller.org_id, made["key"]).call("GET", "/v1/exports")
    async with asyncio.timeout(10):
        while (first := (await key())["last_used_at"]) is None:
            await asyncio.sleep(0.01)
    await world.admin.execute("SELECT tenancy.use_key($1)", made["id"])
    assert (await key())["last_used_at"] == first
