"""A profile of the settings becomes the plan's redaction, over HTTP and Kafka, and what formatters counted stands in the manifest."""

import json
from typing import Any

from shared.datasets.plan import PlanSpec
from shared.messages import ChunkFormatted, FormatChunk, Part
from tests.contract.export_request.conftest import LEADS, Caller, World, incoming
from tests.contract.export_request.test_requests_over_kafka import as_json, refusal

PROFILES = [
    {"name": "support", "default": True, "columns": {"email": "hash"}, "detect": ["phone"]},
    {"name": "partner", "columns": {"email": "keep", "name": "mask"}, "patterns": [{"pattern": "X[0-9]+"}]},
]


async def organisation(world: World, leads: int = 0) -> Caller:
    caller = await world.organisation(leads)
    assert (await caller.call("PATCH", "/v1/settings", json={"redaction_profiles": PROFILES})).status_code == 200
    return caller


async def test_a_rule_whose_key_nothing_has_is_refused_by_its_name(world: World) -> None:
    """It would hide nothing, and nobody would notice."""
    caller = await organisation(world)
    answer = await caller.call("PATCH", "/v1/settings", json={"redaction_profiles": [{"name": "a", "columns": {"emial": "mask"}}]})
    (detail,) = answer.json()["error"]["details"]
    assert (answer.status_code, detail["field"]) == (400, "redaction_profiles.0.columns.emial")
    assert "email" in detail["message"]
    assert (await caller.call("GET", "/v1/settings")).json()["redaction_profiles"][0]["name"] == "support"


async def formatted(world: World, chunk: FormatChunk, redacted: dict[str, int]) -> None:
    parts = [Part(name, key, chunk.rows, 10, "00" * 32) for name, key in chunk.part_keys.items()]
    event = ChunkFormatted(chunk.export_id, chunk.org_id, chunk.number, chunk.rows, parts, 5, redacted)
    for _ in range(2):  # as often as Kafka likes
        await world.parts.handlers.export_parts(incoming("export-parts", event, f"{chunk.export_id}/{chunk.number}/formatted"))


async def manifest_of(world: World, caller: Caller, body: dict[str, Any], redacted: dict[str, int]) -> tuple[PlanSpec, dict[str, Any]]:
    """The plan, and the last manifest that delivery is told, of an export whose every chunk counts the same."""
    export = await caller.ask(body)
    await world.planned()
    plan = ""
    while chunks := [c for c in world.chunks(await world.outbox()) if c.export_id == export["id"]]:
        for chunk in chunks:
            plan = chunk.spec
            await formatted(world, chunk, redacted)
        await world.planned()
    await world.outbox()
    last = [c for c in world.commands(export["id"]) if c.last][-1]
    return PlanSpec.model_validate_json(plan), json.loads(last.manifest)


async def test_the_default_profile_is_in_the_plan_and_the_manifest_counts(world: World) -> None:
    caller = await organisation(world, leads=25)
    counts = {"columns.email": 4, "patterns.phone": 1}
    plan, manifest = await manifest_of(world, caller, LEADS | {"max_rows_per_file": 10}, counts)
    assert plan.redaction is not None
    assert (plan.redaction.profile, plan.redaction.columns, plan.redaction.detect) == ("support", {"email": "hash"}, ["phone"])
    assert manifest["redaction"] == {
        "profile": "support", "columns": [{"column": "email", "rule": "hash", "values": 12}], "patterns": [{"name": "phone", "matches": 3}],
    }  # fmt: skip


async def test_nobody_gets_less_than_the_default(world: World) -> None:
    caller = await organisation(world, leads=2)
    plan, manifest = await manifest_of(world, caller, LEADS | {"redaction": "partner"}, {"columns.email": 2})
    assert plan.redaction is not None
    assert (plan.redaction.profile, plan.redaction.columns) == ("partner", {"email": "hash", "name": "mask"})
    assert [p["name"] for p in manifest["redaction"]["patterns"]] == ["partner.1", "phone"]


async def test_counts_that_a_formatter_of_before_left_out_are_not_made_up(world: World) -> None:
    caller = await organisation(world, leads=2)
    _, manifest = await manifest_of(world, caller, LEADS, {})
    assert manifest["redaction"]["columns"] == [{"column": "email", "rule": "hash", "values": None}]


async def test_an_organisation_without_a_default_gets_what_it_asks_for(world: World) -> None:
    caller = await world.organisation(leads=1)
    plan, manifest = await manifest_of(world, caller, LEADS, {})
    assert plan.redaction is None
    assert "redaction" not in manifest


async def test_an_unknown_profile_is_refused_both_ways(world: World) -> None:
    caller = await organisation(world)
    answer = await caller.call("POST", "/v1/exports", json=LEADS | {"redaction": "nobody"})
    assert answer.status_code == 400
    assert answer.json()["error"]["details"] == [
        {"field": "redaction", "message": "'nobody' is not a redaction profile; there are support, partner"}
    ]
    await world.parts.handlers.export_requests(as_json(caller, LEADS, redaction="nobody"))
    assert (await refusal(world))["error"]["details"] == answer.json()["error"]["details"]
