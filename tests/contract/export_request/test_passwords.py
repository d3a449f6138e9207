"""Passwords over HTTP: where one is required and where none applies, and where it is kept until the export has ended."""

from typing import Any

import asyncpg
import pytest

from services.export_request import asking
from shared.database import create_pool, tenant
from shared.datasets import registry
from shared.sealing import FILE_PASSWORDS, Seal
from tests.conftest import Database
from tests.contract.export_request.conftest import LEADS, Caller, World
from tests.contract.export_request.test_requests_over_kafka import as_json, refusal

PASSWORD = "Abcd1234"  # pragma: allowlist secret
CHATS: dict[str, Any] = {"dataset": "chat-data", "from": "2026-01-01", "to": "2026-02-01", "password": PASSWORD, "purpose": "review"}


def without(body: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in body.items() if name not in names}


async def refused(caller: Caller, body: dict[str, Any]) -> tuple[int, list[str]]:
    answer = await caller.call("POST", "/v1/exports", json=body)
    assert PASSWORD not in answer.text
    return answer.status_code, sorted(d["field"] for d in answer.json()["error"].get("details", []))


async def kept(world: World, export_id: str) -> bytes | None:
    sealed: bytes | None = await world.admin.fetchval("SELECT sealed FROM exports.passwords WHERE export_id = $1", export_id)
    return sealed


async def test_chats_want_a_password_and_a_purpose(world: World) -> None:
    caller = await world.organisation()
    assert await refused(caller, without(CHATS, "password", "purpose")) == (422, ["password", "purpose"])
    for wrong in ("Abc1234", "Abcd 1234", "Abcd-1234", "Äbcd1234", "٣٣٣٣٣٣٣٣", "a" * 65, "Abcd1234\n", 12345678, None, ["Abcd1234"]):
        assert await refused(caller, CHATS | {"password": wrong}) == (400, ["password"]), wrong
    assert await refused(caller, CHATS | {"columns": ["id"]}) == (422, ["columns"])
    assert await refused(caller, CHATS | {"format": "csv"}) == (422, ["format"])
    for good in ("a" * 8, "Z9" * 32):
        await caller.ask(CHATS | {"password": good})


async def test_where_none_applies_one_is_refused(world: World) -> None:
    caller = await world.organisation()
    assert await refused(caller, LEADS | {"password": PASSWORD}) == (422, ["password"])
    await caller.call("PATCH", "/v1/settings", json={"require_password": True})
    assert await refused(caller, LEADS) == (422, ["password"])
    export = await caller.ask(LEADS | {"password": PASSWORD})
    assert export["request"] == LEADS
    await world.parts.handlers.export_requests(as_json(caller, LEADS))
    event = await refusal(world)
    assert event["error"]["details"][0]["field"] == "password"
    assert "HTTP" in event["error"]["details"][0]["message"]


async def test_it_is_kept_sealed_until_the_export_ends(world: World) -> None:
    caller = await world.organisation(leads=3)
    await caller.call("PATCH", "/v1/settings", json={"require_password": True})
    body = LEADS | {"password": PASSWORD}
    done, cancelled = await caller.ask(body), await caller.ask(body)
    sealed = await kept(world, done["id"])
    assert sealed is not None
    assert PASSWORD.encode() not in sealed
    assert sealed != await kept(world, cancelled["id"])
    assert Seal(["0" * 64], FILE_PASSWORDS).open(sealed, done["id"]) == PASSWORD.encode()
    await world.drive(done["id"])
    shown = await caller.get(done["id"])
    assert (shown["status"], await kept(world, done["id"])) == ("completed", None)
    command = world.commands(done["id"])[-1]
    assert (command.name, command.media_type) == (f"leads_{done['id']}.csv.zip", "application/zip")
    assert await kept(world, cancelled["id"]) is not None
    await caller.call("DELETE", f"/v1/exports/{cancelled['id']}")
    assert await kept(world, cancelled["id"]) is None
    for event in [*world.events(done["id"]), *world.events(cancelled["id"])]:
        assert PASSWORD not in str(event)


async def test_who_writes_it_can_not_read_it(world: World, database: Database) -> None:
    caller = await world.organisation()
    export = await caller.ask(CHATS)
    async with create_pool(database.as_service("export_request"), "tests", 1) as pool, tenant(pool, caller.org_id) as connection:
        assert await connection.fetchval("SELECT count(*) FROM exports.passwords WHERE export_id = $1", export["id"]) == 1
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.fetchval("SELECT sealed FROM exports.passwords WHERE export_id = $1", export["id"])


async def test_a_key_stands_for_one_password(world: World) -> None:
    caller = await world.organisation()
    first = await caller.ask(CHATS, key="k1")
    assert (await caller.ask(CHATS, key="k1"))["id"] == first["id"]
    answer = await caller.call("POST", "/v1/exports", json=CHATS | {"password": "Abcd12345"}, headers={"Idempotency-Key": "k1"})
    assert answer.status_code == 409


async def test_it_is_not_taken_over_kafka(world: World) -> None:
    caller = await world.organisation()
    await world.parts.handlers.export_requests(as_json(caller, CHATS))
    event = await refusal(world)
    assert event["error"]["code"] == "password_over_kafka"
    assert PASSWORD not in str(event)


async def test_who_may_not_download_may_not_ask_for_chats(world: World) -> None:
    caller = await world.organisation()
    made = await caller.call("POST", "/v1/api-keys", json={"name": "n", "scopes": ["exports:write"]})
    other = Caller(world, caller.org_id, made.json()["key"])
    answer = await other.call("POST", "/v1/exports", json=CHATS)
    assert (answer.status_code, "exports:download" in answer.text) == (403, True)
    assert (await other.call("POST", "/v1/exports", json=LEADS)).status_code == 202


async def test_a_rerun_says_what_to_do(world: World) -> None:
    caller = await world.organisation()
    await caller.call("PATCH", "/v1/settings", json={"require_password": True})
    export = await caller.ask(LEADS | {"password": PASSWORD})
    await world.drive(export["id"])
    answer = await caller.call("POST", f"/v1/exports/{export['id']}/rerun")
    assert (answer.status_code, "new export" in answer.text) == (422, True)


async def test_files_of_chats_are_limited(world: World) -> None:
    caller = await world.organisation()
    for asked, most in ((None, 10_000), (50, 50), (20_000, 10_000)):
        export = await caller.ask(CHATS | ({"max_rows_per_file": asked} if asked else {}))
        spec = await world.admin.fetchval("SELECT spec::json ->> 'max_rows_per_file' FROM exports.exports WHERE id = $1", export["id"])
        assert spec == str(most)


async def test_a_search_that_finds_too_much_is_refused_at_once_or_by_the_plan(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    caller = await world.organisation()
    await world.admin.execute(
        "INSERT INTO ingest.contacts (org_id, id, name, profile, attributes, created_at) VALUES ($1, 'many', 'Zoë Manyfold', '{}', '{}', now())",
        caller.org_id,
    )
    await world.admin.execute(
        "INSERT INTO ingest.conversations (org_id, id, contact_id, status, metadata, parameters, created_at)"
        " SELECT $1, 'many_' || i, 'many', 'new', '{}', '{}', '2026-01-05T00:00:00Z' FROM generate_series(1, 201) i", caller.org_id,
    )  # fmt: skip
    search = CHATS | {"filter": {"q": "MANYFOLD"}}
    answer = await caller.call("POST", "/v1/exports", json=search)
    assert (answer.status_code, answer.json()["error"]["details"][0]["field"]) == (422, "filter.q")
    shown = await caller.call("POST", "/v1/exports/preview", json=search)
    assert [(p["row"], p["message"].split(",")[0]) for p in shown.json()["problems"]] == [(201, "The search finds 201 rows")]
    await caller.ask(search | {"filter": {"q": "MANYFOLD", "ids": [f"many_{n}" for n in range(1, 201)]}})
    monkeypatch.setattr(asking, "SEARCH_MILLISECONDS", 1)
    monkeypatch.setattr(registry.get("chat-data"), "plan_query", slowed(registry.get("chat-data").plan_query))
    late = await caller.ask(search)
    await world.planned()
    assert (await caller.get(late["id"]))["error"]["code"] == "too_many_found"


def slowed(query: Any) -> Any:
    return lambda *asked: f"select found.* from pg_sleep(0.05) cross join lateral ({query(*asked)}) found"
