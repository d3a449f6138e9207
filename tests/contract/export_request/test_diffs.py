"""What differs between two exports over HTTP: who may see it, what can't be compared, and what is left behind when the caller leaves."""

import asyncio
import json
from typing import Any

from shared.codec import decode
from shared.messages import AuditEntry
from tests.contract.export_request.conftest import LEADS, Caller, World
from tests.contract.export_request.test_deltas import change, delete


async def diff(caller: Caller, a: str, b: str, query: str = "") -> Any:
    return await caller.call("GET", f"/v1/exports/{a}/diff/{b}{query}")


def lines(answer: Any) -> list[dict[str, Any]]:
    assert answer.status_code == 200, answer.text
    return [json.loads(line) for line in answer.text.split("\n")[:-1]]


async def test_what_differs_comes_line_by_line_in_either_direction(world: World) -> None:
    caller = await world.organisation(leads=4)
    a = await caller.completed(LEADS | {"columns": ["id", "name"]})
    await change(world, caller, "lead_000002")
    await delete(world, caller, "lead_000003")
    b = await caller.completed(LEADS | {"columns": ["id", "name"]})
    there = await diff(caller, a["id"], b["id"], "?purpose=to+look")
    assert there.headers["content-type"] == "application/x-ndjson"
    assert lines(there) == [
        {"op": "changed", "key": "lead_000002", "before": {"name": None}, "after": {"name": "Another"}},
        {"op": "removed", "key": "lead_000003", "before": {"id": "lead_000003", "name": None}, "after": None},
    ]
    assert [(row["op"], row["before"], row["after"]) for row in lines(await diff(caller, b["id"], a["id"]))] == [
        ("changed", {"name": "Another"}, {"name": None}), ("added", None, {"id": "lead_000003", "name": None}),
    ]  # fmt: skip
    assert lines(await diff(caller, a["id"], a["id"])) == []
    await world.outbox()
    noted = [entry for m in world.noted if isinstance(entry := decode(m.value), AuditEntry) and entry.action == "export.compared"]
    assert next((entry.subject, json.loads(entry.details)["with"], entry.purpose) for entry in noted) == (b["id"], a["id"], "to look")


async def test_what_can_not_be_compared_is_refused_by_name(world: World) -> None:
    caller, stranger = await world.organisation(leads=2), await world.organisation()
    a, running = await caller.completed(), await caller.ask()
    other = await caller.completed(LEADS | {"columns": ["id"]})
    talks, txt = [await caller.completed({"dataset": "conversations", "format": name}) for name in ("json", "txt")]
    teams = await caller.completed({"dataset": "teams", "format": "csv", "from": "2026-03-01", "to": "2026-04-01"})
    cases = [
        (caller, a["id"], "exp_nothing", 404, ["b"]), (caller, "exp_nothing", a["id"], 404, ["a"]), (stranger, a["id"], a["id"], 404, ["a"]),
        (caller, a["id"], running["id"], 409, ["b"]), (caller, a["id"], other["id"], 422, ["b"]), (caller, a["id"], talks["id"], 422, ["b"]),
        (caller, txt["id"], talks["id"], 422, ["a"]), (caller, teams["id"], teams["id"], 422, ["b"]),
    ]  # fmt: skip
    for who, first, second, status, fields in cases:
        answer = await diff(who, first, second)
        assert (answer.status_code, [d["field"] for d in answer.json()["error"]["details"]]) == (status, fields), answer.text
    assert (await diff(caller, a["id"], a["id"], "?limit=3")).status_code == 400
    await world.admin.execute("UPDATE exports.exports SET protected = true WHERE id = $1", other["id"])
    assert (await diff(caller, other["id"], other["id"])).status_code == 422
    await world.admin.execute("INSERT INTO ingest.erasures (org_id, oldest) VALUES ($1, '3')", caller.org_id)
    assert (await diff(caller, a["id"], a["id"])).status_code == 410


async def test_it_needs_what_downloading_needs(world: World) -> None:
    caller = await world.organisation(leads=2)
    a = await caller.completed()
    for scopes, status in ((["exports:read"], 403), (["exports:download"], 403), (["exports:read", "exports:download"], 200)):
        made = await caller.call("POST", "/v1/api-keys", json={"name": "reader", "scopes": scopes})
        assert (await diff(Caller(world, caller.org_id, made.json()["key"]), a["id"], a["id"])).status_code == status


async def test_nobody_sees_through_it_what_a_profile_hides(world: World) -> None:
    caller = await world.organisation(leads=2)
    open_ = await caller.completed(LEADS | {"columns": ["id", "email", "name"]})
    await change(world, caller, "lead_000001")
    profile = {"name": "floor", "default": False, "columns": {"name": "mask"}, "detect": [], "patterns": []}
    assert (await caller.call("PATCH", "/v1/settings", json={"redaction_profiles": [profile]})).status_code == 200
    later = await caller.completed(LEADS | {"columns": ["id", "email", "name"], "redaction": "floor"})
    for first, second in ((open_, later), (later, open_)):
        for row in lines(await diff(caller, first["id"], second["id"])):
            assert {(row[side] or {}).get("name") for side in ("before", "after")} <= {None, "[REDACTED]"}
    floor = profile | {"default": True, "columns": {"name": "remove"}}
    assert (await caller.call("PATCH", "/v1/settings", json={"redaction_profiles": [floor]})).status_code == 200
    assert lines(await diff(caller, open_["id"], later["id"])) == []


async def test_too_many_at_once_wait_and_whoever_leaves_makes_room(world: World) -> None:
    caller = await world.organisation(leads=2)
    a = await caller.completed()
    diffs = world.parts.diffs
    diffs._open[caller.org_id] = 2  # as if two were under way
    answer = await diff(caller, a["id"], a["id"])
    assert (answer.status_code, answer.json()["error"]["code"]) == (429, "rate_limited")
    assert int(answer.headers["retry-after"]) > 0
    del diffs._open[caller.org_id]
    await asyncio.gather(*(diff(caller, a["id"], a["id"]) for _ in range(2)))
    await diff(caller, a["id"], "exp_nothing")
    assert not diffs._open
