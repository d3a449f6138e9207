"""The audit trail: what is noted, that each organisation sees its own chain, and that nobody can change one."""

import asyncio
import json
import secrets
from typing import Any

import asyncpg
import pytest

from shared import audit
from shared.audit_chain import OPERATOR as OPERATORS_CHAIN
from shared.audit_chain import Checker, Head
from shared.codec import encode
from shared.consumer import Incoming
from shared.errors import TransientError
from shared.messages import AuditEntry, PublishFailed
from tests.conftest import Database
from tests.contract.export_request.conftest import LEADS, OPERATOR, Caller, World, incoming

AS_OPERATOR = {"Authorization": f"Bearer {OPERATOR}"}


async def entries(caller: Caller, **query: Any) -> list[dict[str, Any]]:
    """Oldest first."""
    answer = await caller.call("GET", "/v1/audit", params={"limit": 500, **query})
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["data"]
    return found[::-1]


async def exported(caller: Caller, **query: Any) -> list[dict[str, Any]]:
    answer = await caller.call("GET", "/v1/audit/export", params=query)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/x-ndjson"), answer.text
    return [json.loads(line) for line in answer.text.splitlines()]


def message(org_id: str | None, action: str, message_id: str = "", subject: str = "x") -> Incoming:
    entry = AuditEntry("2026-03-01T09:00:00.000Z", "key:k", org_id, action, subject, "{}")
    return incoming("audit-entries", entry, message_id or secrets.token_hex(8))


async def test_who_did_what_from_where_is_noted_with_its_effect(world: World) -> None:
    admin = await world.organisation(leads=3)
    made = (await admin.call("POST", "/v1/api-keys", json={"name": "loader", "scopes": ["exports:write"]})).json()
    rotated = (await admin.call("POST", f"/v1/api-keys/{made['id']}/rotate")).json()
    await admin.call("DELETE", f"/v1/api-keys/{made['id']}")
    await admin.call("PATCH", "/v1/settings", json={"timezone": "Europe/Brussels"})
    await admin.call("PATCH", "/v1/settings", json={"timezone": "Europe/Brussels"})  # changes nothing
    done = await admin.completed()
    again = (await admin.call("POST", f"/v1/exports/{done['id']}/rerun", headers={"X-Forwarded-For": "203.0.113.7"})).json()
    await admin.call("DELETE", f"/v1/exports/{again['id']}")
    await admin.call("DELETE", f"/v1/exports/{done['id']}")
    await world.audited()
    found = await entries(admin)
    me, first_key = f"key:{admin.api_key.split('_')[2]}", admin.api_key.split("_")[2]
    assert [(e["actor"], e["action"], e["subject"]) for e in found] == [
        ("operator:token", "organisation.created", admin.org_id), ("operator:token", "key.created", first_key), (me, "key.created", made["id"]),
        (me, "key.rotated", made["id"]), (me, "key.revoked", made["id"]), (me, "settings.changed", "settings"), (me, "export.requested", done["id"]),
        ("service:export-request", "export.completed", done["id"]), (me, "export.rerun", again["id"]), (me, "export.cancelled", again["id"]),
        (me, "export.deleted", done["id"]),
    ]  # fmt: skip
    assert found[3]["details"]["new_key"] == rotated["id"]
    assert found[5]["details"] == {"timezone": {"old": "UTC", "new": "Europe/Brussels"}}
    assert found[7]["details"]["files"][0]["rows"] == 3
    assert (found[8]["address"], found[8]["details"]["rerun_of"]) == ("203.0.113.7", done["id"])
    for secret in (admin.api_key, made["key"], rotated["key"]):
        assert secret.split("_")[3] not in json.dumps(found)


async def test_a_request_over_kafka_is_noted_with_whoever_the_publisher_names_and_can_not_pass_for_a_key(world: World) -> None:
    caller = await world.organisation()
    body = LEADS | {"org_id": caller.org_id, "request_id": "r1", "requested_by": "key:somebody"}
    await world.parts.handlers.export_requests(
        Incoming("export-requests", 0, 0, b"", json.dumps(body).encode(), (("message-id", secrets.token_hex(8).encode()),))
    )
    await world.audited()
    assert [e["actor"] for e in await entries(caller, action="export.requested")] == ["kafka:key:somebody"]


async def test_chains_are_whole_apart_and_each_message_is_in_one_once(world: World) -> None:
    one, two = await world.organisation(), await world.organisation()
    await world.audited()
    batch = [message(c.org_id, f"t.{n}") for n in range(50) for c in (one, two)]
    await world.parts.trail.take(batch)
    await world.parts.trail.take([*batch[:20], message(one.org_id, "t.last"), batch[3]])
    for caller, last in ((one, 53), (two, 52)):
        checker, seen = Checker(Head()), await exported(caller)
        assert [b for entry in seen for b in checker.take(entry)] == []
        assert (checker.head, {e["org_id"] for e in seen}) == (Head(last, seen[-1]["hash"]), {caller.org_id})


async def test_writers_of_one_chain_at_once_make_no_fork(world: World) -> None:
    caller = await world.organisation()
    await world.audited()
    batches = [[message(caller.org_id, f"t.{b}", f"m{caller.org_id}{b}/{n}") for n in range(20)] for b in range(6)]

    async def write(batch: list[Incoming]) -> None:
        while True:
            try:
                await world.parts.trail.take(batch)
                return
            except TransientError:
                pass

    await asyncio.gather(*(write(b) for b in [*batches, *batches]))
    checker, seen = Checker(Head()), await exported(caller)
    assert [b for entry in seen for b in checker.take(entry)] == []
    assert len([e for e in seen if e["action"].startswith("t.")]) == 120


async def test_what_is_no_entry_comes_back_and_the_rest_is_kept(world: World) -> None:
    caller = await world.organisation()
    bad = [
        Incoming("audit-entries", 0, 1, b"", b"garbage", ()), incoming("audit-entries", PublishFailed("e", "o", "c", "m"), "x1"),
        incoming("audit-entries", AuditEntry("yesterday", "a", caller.org_id, "b", "c", "{}"), "x2"),
    ]  # fmt: skip
    refused = await world.parts.trail.take([bad[0], message(caller.org_id, "t.good", subject="\x00" * 5000), *bad[1:]])
    assert [(m, error.code) for m, error in refused] == [(m, "undecodable") for m in bad]
    assert [e["action"] for e in await entries(caller)] == ["t.good"]
    odd = Incoming("audit-entries", 0, 2, b"", encode(AuditEntry("2026-03-01T09:00:00Z", "a", caller.org_id, "t.odd", "c", "[1e999]")),
                   (("message-id", b"\x00" * 5000),))  # fmt: skip
    await world.parts.trail.take([odd, odd])
    assert [e["details"] for e in await entries(caller, action="t.odd")] == [{"text": "[1e999]"}]


async def test_the_list_is_filtered_paged_and_answers_for_one_organisation(world: World) -> None:
    caller, other = await world.organisation(), await world.organisation()
    await world.audited()
    await world.parts.trail.take([message(caller.org_id, f"lead.{n % 2}", subject=f"lead_{n % 3}") for n in range(9)])
    assert len(await entries(caller, action="lead")) == 9
    assert len(await entries(caller, action="lead.1", subject="lead_1")) == 2
    assert await entries(caller, actor="key:nobody") == []
    assert len(await entries(caller, **{"from": "2026-03-01T09:00:00Z", "to": "2026-03-01T09:00:00.001Z"})) == 9
    assert await entries(caller, to="2026-03-01T09:00:00Z") == []
    assert [e["action"] for e in await entries(other)] == ["organisation.created", "key.created"]
    page = (await caller.call("GET", "/v1/audit?limit=4&action=lead")).json()
    rest = (await caller.call("GET", f"/v1/audit?limit=500&action=lead&cursor={page['next_cursor']}")).json()
    assert [e["seq"] for e in page["data"] + rest["data"]] == list(range(11, 2, -1))
    for query in (f"cursor={page['next_cursor']}", "limit=0", "x=1", "from=yesterday", "actor=", "action=a&action=b"):
        assert (await caller.call("GET", f"/v1/audit?{query}")).status_code == 400, query
    assert (await other.call("GET", f"/v1/audit?action=lead&cursor={page['next_cursor']}")).status_code == 400
    assert [e["seq"] for e in await exported(caller, after=9)] == [10, 11]
    assert (await caller.call("GET", "/v1/audit/export?after=-1")).status_code == 400


async def test_reading_needs_its_scope_and_exporting_is_noted(world: World) -> None:
    caller = await world.organisation()
    key = (await caller.call("POST", "/v1/api-keys", json={"name": "k", "scopes": ["exports:read"]})).json()["key"]
    for path in ("/v1/audit", "/v1/audit/export"):
        answer = await Caller(world, caller.org_id, key).call("GET", path)
        assert (answer.status_code, "audit:read" in answer.text) == (403, True)
    await exported(caller)
    await world.audited()
    assert [e["action"] for e in await entries(caller)][-1] == "audit.exported"


async def test_the_operator_has_a_chain_of_their_own(world: World) -> None:
    caller = await world.organisation()
    await world.audited()
    assert (await caller.call("GET", "/v1/operator/audit")).status_code == 401
    listed = (await world.http.get("/v1/operator/audit", params={"subject": caller.org_id}, headers=AS_OPERATOR)).json()["data"]
    assert [(e["org_id"], e["action"]) for e in listed] == [(None, "organisation.created")]
    lines = (await world.http.get("/v1/operator/audit/export", headers=AS_OPERATOR)).text.splitlines()
    checker = Checker(Head())
    assert [b for line in lines for b in checker.take(json.loads(line))] == []


@pytest.mark.parametrize("role", ["ingest", "lead_scoring", "export_request", "formatter", "delivery"])
async def test_no_service_can_change_or_delete_an_entry(world: World, database: Database, role: str) -> None:
    caller = await world.organisation()
    await world.audited()
    connection = await asyncpg.connect(database.as_service(role))
    try:
        for into in ("SELECT 1", "SET LOCAL ROLE waybill_auditor", "SET LOCAL ROLE waybill_dispatcher"):
            for statement in ("UPDATE tenancy.audit SET actor = 'x'", "DELETE FROM tenancy.audit", "TRUNCATE tenancy.audit"):
                with pytest.raises(asyncpg.InsufficientPrivilegeError):
                    async with connection.transaction():
                        await connection.execute(into)
                        await connection.execute("SELECT set_config('app.org_id', $1, true)", caller.org_id)
                        await connection.execute(statement)
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute("INSERT INTO tenancy.audit SELECT * FROM tenancy.audit")
    finally:
        await connection.close()


async def test_nobody_sees_a_chain_that_they_do_not_name(world: World, database: Database) -> None:
    await world.organisation()
    await world.audited()
    connection = await asyncpg.connect(database.as_service("export_request"))
    try:
        assert await connection.fetchval("SELECT count(*) FROM tenancy.audit") == 0
        async with connection.transaction():
            await connection.execute("SELECT set_config('app.org_id', '', true)")
            assert await connection.fetchval("SELECT count(*) FROM tenancy.audit") == 0
    finally:
        await connection.close()
    assert OPERATORS_CHAIN == "@operator"
    assert audit.by_operator("a.b", "c").key == "operator"
