"""Organisations, settings, API keys, scopes."""

from typing import Any

import pytest

from services.export_request.app import assemble
from services.export_request.bootstrap import make
from tests.conftest import Database
from tests.contract.export_request.conftest import LEADS, OPERATOR, Caller, World, settings_for

AS_OPERATOR = {"Authorization": f"Bearer {OPERATOR}"}


async def key_with(caller: Caller, *scopes: str) -> Caller:
    answer = await caller.call("POST", "/v1/api-keys", json={"name": "k", "scopes": list(scopes)})
    assert answer.status_code == 201, answer.text
    return Caller(caller.world, caller.org_id, answer.json()["key"])


async def test_a_key_does_what_its_scopes_say(world: World) -> None:
    admin = await world.organisation()
    reader, writer = await key_with(admin, "exports:read"), await key_with(admin, "exports:write")
    export = await writer.ask()
    await reader.get(export["id"])
    for caller, method, path, scope in (
        (reader, "POST", "/v1/exports", "exports:write"), (reader, "DELETE", f"/v1/exports/{export['id']}", "exports:write"),
        (writer, "GET", "/v1/exports", "exports:read"), (writer, "GET", f"/v1/exports/{export['id']}/events", "exports:read"),
        (reader, "PATCH", "/v1/settings", "settings:write"), (reader, "GET", "/v1/api-keys", "admin"), (reader, "POST", "/v1/api-keys", "admin"),
    ):  # fmt: skip
        answer = await caller.call(method, path, json=LEADS if method in ("POST", "PATCH") else None)
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "forbidden")
        assert scope in answer.json()["error"]["message"]


async def test_without_a_good_key_nothing_is_told(world: World) -> None:
    caller = await world.organisation()
    key_id, secret = caller.api_key.removeprefix("sk_live_").split("_")
    for value in ("", "Bearer", "Basic abc", f"Bearer sk_live_{key_id}_{secret[::-1]}", f"Bearer sk_live_{key_id[::-1]}_{secret}"):
        answer = await world.http.get("/v1/exports", headers={"Authorization": value})
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")


async def test_the_scheme_s_name_has_no_case(world: World) -> None:
    """RFC 9110, 11.1."""
    caller = await world.organisation()
    for scheme in ("bearer", "BEARER"):
        answer = await world.http.get("/v1/exports", headers={"Authorization": f"{scheme} {caller.api_key}"})
        assert answer.status_code == 200


async def test_a_key_is_shown_once_listed_revoked(world: World) -> None:
    caller = await world.organisation()
    made = (await caller.call("POST", "/v1/api-keys", json={"name": "loader", "scopes": ["exports:read"]})).json()
    listed = await caller.call("GET", "/v1/api-keys")
    assert [k["name"] for k in listed.json()["data"]] == ["first key", "loader"]
    assert made["key"] not in listed.text
    assert "hash" not in listed.text
    page = (await caller.call("GET", "/v1/api-keys?limit=1")).json()
    assert (await caller.call("GET", f"/v1/api-keys?cursor={page['next_cursor']}")).json()["data"][0]["id"] == made["id"]
    loader, other = Caller(world, caller.org_id, made["key"]), await world.organisation()
    assert (await loader.call("GET", "/v1/exports")).status_code == 200
    assert (await other.call("DELETE", f"/v1/api-keys/{made['id']}")).status_code == 404
    assert (await caller.call("DELETE", f"/v1/api-keys/{made['id']}")).status_code == 204
    assert (await loader.call("GET", "/v1/exports")).status_code == 401
    assert (await caller.call("DELETE", f"/v1/api-keys/{made['id']}")).status_code == 404


async def test_rotation_overlaps_old_and_new(world: World) -> None:
    caller = await world.organisation()
    old = (await caller.call("POST", "/v1/api-keys", json={"name": "loader", "scopes": ["exports:read"]})).json()
    new = (await caller.call("POST", f"/v1/api-keys/{old['id']}/rotate")).json()
    assert (new["name"], new["scopes"], new["replaces"]) == ("loader", ["exports:read"], old["id"])
    for key in (old["key"], new["key"]):
        assert (await Caller(world, caller.org_id, key).call("GET", "/v1/exports")).status_code == 200
    await world.admin.execute("UPDATE tenancy.api_keys SET expires_at = now() - interval '1 s' WHERE id = $1", old["id"])
    assert (await Caller(world, caller.org_id, old["key"]).call("GET", "/v1/exports")).status_code == 401


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, ["name", "scopes"]), ({"name": "a\r\nb", "scopes": ["exports:read"]}, ["name"]), ({"name": "a", "scopes": []}, ["scopes"]),
        ({"name": "a", "scopes": ["exports:read", "root"]}, ["scopes.1"]), ({"name": 1, "scopes": "admin", "x": 1}, ["x", "name", "scopes"]),
        ({"name": "a", "scopes": [["admin"]]}, ["scopes.0"]), ({"name": "a", "scopes": ["admin"], "expires_in_seconds": 0}, ["expires_in_seconds"]),
    ],
)  # fmt: skip
async def test_wrong_keys_are_refused_by_name(world: World, body: Any, fields: list[str]) -> None:
    answer = await (await world.organisation()).call("POST", "/v1/api-keys", json=body)
    assert answer.status_code == 400
    assert [d["field"] for d in answer.json()["error"]["details"]] == fields


async def test_settings_are_changed_field_by_field(world: World) -> None:
    caller, other = await world.organisation(), await world.organisation()
    defaults = {
        "name": "Acme", "timezone": "UTC", "branding": {"logo": None, "colours": {}}, "retention_days": 30, "redaction_profiles": [], "require_purpose": False, "require_password": False,
        "approval_rows_threshold": None,
        "alert_channels": [], "custom_properties": [], "qualification_threshold": 70, "operating_hours": None, "scoring": None,
    }  # fmt: skip
    assert (await caller.call("GET", "/v1/settings")).json() == defaults
    properties = [{"name": "Team size, EU", "type": "text"}, {"name": "vip"}]
    answer = await caller.call("PATCH", "/v1/settings", json={"timezone": "Europe/Brussels", "custom_properties": properties})
    full = [{"name": "Team size, EU", "type": "text"}, {"name": "vip", "type": "text"}]
    assert answer.json() == defaults | {"timezone": "Europe/Brussels", "custom_properties": full}
    assert (await other.call("GET", "/v1/settings")).json()["timezone"] == "UTC"
    export = await caller.ask(LEADS)
    await world.planned()
    spec = await world.admin.fetchval("SELECT spec::jsonb FROM exports.exports WHERE id = $1", export["id"])
    assert '"timezone": "Europe/Brussels"' in spec
    assert "custom_vip" in spec


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({"retention_days": 0, "colour": 5}, ["colour", "retention_days"]), ({"name": None}, ["name"]), ({"name": ""}, ["name"]), ({"name": "a\nb"}, ["name"]), ({"timezone": "Mars"}, ["timezone"]),
        ({"custom_properties": {}}, ["custom_properties"]), ([], [""]),
        ({"custom_properties": [{"name": "a"}, {"name": "a"}]}, ["custom_properties.1.name"]),
        ({"custom_properties": [{"name": "a\r\nb", "type": "date", "x": 1}]},
         ["custom_properties.0.x", "custom_properties.0.name", "custom_properties.0.type"]),
        ({"custom_properties": [1, {}]}, ["custom_properties.0", "custom_properties.1.name"]),
        ({"scoring": {"rules": [{"rule": "a", "when": "colour", "points": "x"}]}}, ["scoring.rules.0.when", "scoring.rules.0.points"]),
    ],
)  # fmt: skip
async def test_wrong_settings_are_refused_by_name(world: World, body: Any, fields: list[str]) -> None:
    answer = await (await world.organisation()).call("PATCH", "/v1/settings", json=body)
    assert answer.status_code == 400
    assert [d["field"] for d in answer.json()["error"]["details"]] == fields


async def test_rules_of_scoring_are_kept_and_every_change_is_another_model(world: World) -> None:
    caller = await world.organisation()

    async def patch(scoring: Any) -> tuple[Any, int]:
        answer = await caller.call("PATCH", "/v1/settings", json={"scoring": scoring})
        model = "SELECT model_version FROM tenancy.organisations WHERE org_id = $1"
        return answer.json()["scoring"], await world.admin.fetchval(model, caller.org_id)

    rules = {"rules": [{"rule": "ü", "when": "phone is given", "points": 0.5}]}
    assert await patch(None) == (None, 1)
    assert await patch(rules) == (rules, 2)
    assert await patch({"rules": [{"points": 0.5, "when": "phone is given", "rule": "ü"}]}) == (rules, 2)
    await caller.call("PATCH", "/v1/settings", json={"name": "Other"})
    assert await patch({"rules": []}) == ({"rules": []}, 3)
    assert await patch(None) == (None, 4)


async def test_organisations_are_the_operators(world: World, database: Database) -> None:
    caller = await world.organisation()
    assert (await caller.call("GET", "/v1/organisations")).status_code == 401
    assert (await world.http.post("/v1/organisations", json={"org_id": "x", "name": "X"})).status_code == 401
    again = await world.http.post("/v1/organisations", json={"org_id": caller.org_id, "name": "X"}, headers=AS_OPERATOR)
    assert (again.status_code, again.json()["error"]["code"]) == (409, "conflict")
    wrong = await world.http.post("/v1/organisations", json={"org_id": "../x", "name": "X\r\n", "plan": 1}, headers=AS_OPERATOR)
    assert [d["field"] for d in wrong.json()["error"]["details"]] == ["plan", "org_id", "name"]
    listed = (await world.http.get("/v1/organisations?limit=500", headers=AS_OPERATOR)).json()
    assert caller.org_id in [o["org_id"] for o in listed["data"]]


async def test_without_an_operator_token_there_are_no_organisations(world: World, database: Database) -> None:
    import httpx

    from shared.database import create_pool

    settings = settings_for(database).model_copy(update={"operator_token": ""})
    pool = create_pool(settings.export_request_database_url, "tests", 1)
    transport = httpx.ASGITransport(assemble(settings, pool, None).http)
    async with httpx.AsyncClient(transport=transport, base_url="http://waybill") as http:
        answer = await http.get("/v1/organisations", headers={"Authorization": "Bearer "})
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")


async def test_bootstrap_makes_an_organisation_and_a_key_that_works(world: World, database: Database) -> None:
    url = database.as_service("export_request")
    keys = [await make(url, "org_demo", "Demo") for _ in range(2)]
    assert keys[0] != keys[1]
    for key in keys:
        assert (await Caller(world, "org_demo", key).call("GET", "/v1/settings")).json()["name"] == "Demo"
