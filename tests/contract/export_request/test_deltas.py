"""Exports since an export: what is taken from it, how its rows are counted, what is refused and why."""

import json
from typing import Any

import pytest

from tests.contract.export_request.conftest import LEADS, Caller, World
from tests.contract.export_request.test_requests_over_kafka import as_json, refusal

MESSAGES = {"dataset": "messages", "format": "csv", "from": "2026-03-01", "to": "2026-04-01", "timezone": "Europe/Brussels"}


async def change(world: World, caller: Caller, *leads: str) -> None:
    """These leads have another name now."""
    await world.admin.execute(
        """WITH gone AS (DELETE FROM ingest.leads_current WHERE org_id = $1 AND id = ANY ($2::text[]) RETURNING *),
        kept AS (INSERT INTO ingest.leads_ended (org_id, id, added, ended, email, status, source, custom_properties, created_at)
                 SELECT org_id, id, added, pg_current_xact_id(), email, status, source, custom_properties, created_at FROM gone)
        INSERT INTO ingest.leads (org_id, id, email, name, status, source, custom_properties, created_at)
        SELECT org_id, id, email, 'Another', status, source, custom_properties, created_at FROM gone""",
        caller.org_id, list(leads),
    )  # fmt: skip


async def delete(world: World, caller: Caller, lead: str) -> None:
    await world.admin.execute(
        """WITH gone AS (DELETE FROM ingest.leads_current WHERE org_id = $1 AND id = $2 RETURNING *)
        INSERT INTO ingest.leads_ended (org_id, id, added, ended, email, status, source, custom_properties, created_at)
        SELECT org_id, id, added, pg_current_xact_id(), email, status, source, custom_properties, created_at FROM gone""",
        caller.org_id, lead,
    )  # fmt: skip


async def asked(caller: Caller, body: dict[str, Any]) -> Any:
    return await caller.call("POST", "/v1/exports", json=body)


async def test_a_delta_has_the_bases_plan_and_two_files_a_format(world: World) -> None:
    caller = await world.organisation(leads=25)
    base = await caller.completed(
        LEADS | {"columns": ["id", "name"], "filter": {"status": ["new"]}, "timezone": "Europe/Brussels", "to": "2026-04-01"}
    )
    await change(world, caller, "lead_000003", "lead_000020")
    await delete(world, caller, "lead_000007")
    delta = await caller.ask({"dataset": "leads", "since": base["id"], "formats": ["csv", "jsonl"], "compression": "gzip"})
    await world.planned()
    [chunk] = [c for c in world.chunks(await world.outbox()) if c.export_id == delta["id"]]
    assert chunk.rows == 3
    assert list(chunk.part_keys) == ["csv", "jsonl", "deleted.csv", "deleted.jsonl"]
    spec = json.loads(chunk.spec)
    before = json.loads(await world.admin.fetchval("SELECT spec FROM exports.exports WHERE id = $1", base["id"]))
    assert {k: spec[k] for k in ("filter", "to", "timezone")} == {k: before[k] for k in ("filter", "to", "timezone")}
    assert spec["columns"] == {"csv": ["id", "name"], "jsonl": ["id", "name"]}
    snapshot = await world.admin.fetchval("SELECT snapshot FROM exports.exports WHERE id = $1", base["id"])
    assert spec["since"] == {"export_id": base["id"], "snapshot": snapshot, "found": True}
    await world.formatted(chunk, gone=1, unchanged=1)
    await world.outbox()
    await world.publish(delta["id"])
    done = await caller.get(delta["id"])
    assert (done["status"], done["excluded"]) == ("completed", [{"reason": "unchanged", "rows": 1}])
    assert (done["progress"]["rows_planned"], done["progress"]["rows_written"]) == (3, 2)
    names = [f"leads_{delta['id']}.csv.gz", "deleted.csv.gz", f"leads_{delta['id']}.jsonl.gz", "deleted.jsonl.gz"]
    assert [(file["name"], file["rows"]) for file in done["files"]] == [(name, 1) for name in names]
    manifest = json.loads(world.commands(delta["id"])[-1].manifest)
    assert manifest["since"] == {"export_id": base["id"], "snapshot": snapshot}
    kept = await world.admin.fetch(
        "SELECT export_id, reason FROM exports.kept_snapshots WHERE org_id = $1 AND snapshot = $2", caller.org_id, snapshot
    )
    assert {tuple(row) for row in kept} == {(base["id"], "base"), (delta["id"], "delta")}


async def test_rows_that_are_not_accounted_for_fail_it(world: World) -> None:
    caller = await world.organisation(leads=5)
    base = await caller.completed()
    await change(world, caller, "lead_000003", "lead_000004")
    delta = await caller.ask({"dataset": "leads", "since": base["id"]})
    await world.planned()
    [chunk] = [c for c in world.chunks(await world.outbox()) if c.export_id == delta["id"]]
    await world.formatted(chunk, rows=1)
    done = await caller.get(delta["id"])
    assert (done["status"], done["error"]["code"]) == ("failed", "rows_mismatch")


async def test_what_is_the_bases_may_be_said_again_and_not_otherwise(world: World) -> None:
    caller = await world.organisation(leads=3)
    base = await caller.completed(LEADS | {"columns": ["id", "name"], "filter": {"status": "new"}, "from": "2026-03-01"})
    same = {"dataset": "leads", "since": base["id"], "columns": ["id", "name"], "filter": {"status": ["new"]}, "from": "2026-03-01"}
    assert (await asked(caller, same)).status_code == 202
    wrong = same | {"columns": ["id"], "filter": {}, "from": "2026-03-02", "redaction": "support"}
    answer = await asked(caller, wrong)
    assert answer.status_code == 422
    assert [d["field"] for d in answer.json()["error"]["details"]] == ["from", "columns", "filter", "redaction"]


async def test_a_delta_of_a_delta_goes_on_from_there(world: World) -> None:
    caller = await world.organisation(leads=5)
    base = await caller.completed()
    first = await caller.ask({"dataset": "leads", "since": base["id"]})
    await world.drive(first["id"])
    await change(world, caller, "lead_000001")
    second = await caller.ask({"dataset": "leads", "since": first["id"], "format": "jsonl"})
    await world.planned()
    assert [c.rows for c in world.chunks(await world.outbox()) if c.export_id == second["id"]] == [1]


async def test_what_can_not_be_measured_from_is_refused_by_name(world: World) -> None:
    caller, stranger = await world.organisation(leads=2), await world.organisation()
    base, running = await caller.completed(), await caller.ask()
    cancelled = await caller.ask()
    await caller.call("DELETE", f"/v1/exports/{cancelled['id']}")
    since = {"dataset": "leads", "since": base["id"]}
    cases = [
        (caller, since | {"since": 7}, 400), (caller, since | {"since": "exp_nothing"}, 404), (caller, since | {"since": "../ /"}, 404),
        (stranger, since, 404), (caller, since | {"since": running["id"]}, 409), (caller, since | {"since": cancelled["id"]}, 422),
        (caller, MESSAGES | {"since": base["id"]}, 422),
        (caller, MESSAGES | {"dataset": "teams", "since": base["id"]}, 422),
    ]  # fmt: skip
    for who, body, status in cases:
        answer = await asked(who, body)
        assert (answer.status_code, [d["field"] for d in answer.json()["error"]["details"]]) == (status, ["since"]), answer.text


@pytest.mark.parametrize("gone", ["erased", "pruned", "restored"])
async def test_an_instant_that_is_gone_is_410_and_says_what_to_do(world: World, gone: str) -> None:
    caller = await world.organisation(leads=2)
    base = await caller.completed()
    statement = {
        "erased": "INSERT INTO ingest.erasures (org_id, oldest) VALUES ($1, '3')",
        "pruned": "INSERT INTO ingest.prunings (org_id, before) VALUES ($1, pg_current_xact_id())",
        "restored": "UPDATE exports.exports SET snapshot = '99999999:99999999:' WHERE org_id = $1",
    }[gone]
    await world.admin.execute(statement, caller.org_id)
    if gone == "pruned":
        assert (await asked(caller, {"dataset": "leads", "since": base["id"]})).status_code == 202, (
            "nothing of a completed export is pruned"
        )
        await world.admin.execute("UPDATE exports.exports SET status = 'expired' WHERE id = $1", base["id"])
    answer = await asked(caller, {"dataset": "leads", "since": base["id"]})
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], [d["field"] for d in error["details"]]) == (410, "gone", ["since"])
    assert "Ask for a whole export" in error["message"]


async def test_over_kafka_it_is_the_same(world: World) -> None:
    caller = await world.organisation(leads=4)
    base = await caller.completed()
    await change(world, caller, "lead_000002")
    await world.parts.handlers.export_requests(as_json(caller, {"dataset": "leads", "since": base["id"]}, request_id="k1"))
    await world.planned()
    assert [c.rows for c in world.chunks(await world.outbox())][-1] == 1
    await world.parts.handlers.export_requests(as_json(caller, {"dataset": "leads", "since": "exp_nothing"}, request_id="k2"))
    error = (await refusal(world, "k2"))["error"]
    assert (error["code"], error["details"][0]["field"]) == ("not_found", "since")


async def test_nobody_sees_by_a_delta_what_is_hidden_by_now(world: World) -> None:
    caller = await world.organisation(leads=2)
    base = await caller.completed()
    profile = {"name": "floor", "default": True, "columns": {"email": "mask"}, "detect": [], "patterns": []}
    assert (await caller.call("PATCH", "/v1/settings", json={"redaction_profiles": [profile]})).status_code == 200
    answer = await asked(caller, {"dataset": "leads", "since": base["id"]})
    assert (answer.status_code, answer.json()["error"]["details"][0]["field"]) == (422, "since")
    redacted = await caller.completed()
    assert (await asked(caller, {"dataset": "leads", "since": redacted["id"]})).status_code == 202


async def test_a_delta_runs_again_as_it_was(world: World) -> None:
    caller = await world.organisation(leads=5)
    base = await caller.completed()
    await change(world, caller, "lead_000002")
    delta = await caller.ask({"dataset": "leads", "since": base["id"]})
    await world.drive(delta["id"])
    answer = await caller.call("POST", f"/v1/exports/{delta['id']}/rerun")
    await world.drive(answer.json()["id"])
    assert (await caller.get(answer.json()["id"]))["status"] == "completed"
    assert json.loads(world.commands(answer.json()["id"])[-1].manifest)["reproduces"]["export_id"] == delta["id"]
