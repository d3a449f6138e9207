"""What a diff says of two instants: the same as two whole exports laid side by side, field by field, forwards and backwards."""

import json
from typing import Any

import pytest

from shared.datasets import registry
from shared.datasets.plan import PlanSpec, Redaction, Since, Wanted
from tests.integration.engine.test_deltas import DATASETS, RANGE, Two, two

__all__ = ["two"]


async def diff(two: Two, spec: PlanSpec, theirs: Wanted | None = None, *, backwards: bool = False) -> list[dict[str, Any]]:
    since = Since(export_id="exp_base", snapshot=two.first, theirs=theirs)
    spec = spec.model_copy(update={"since": since})
    if theirs is None:
        spec = spec.model_copy(update={"since": since.model_copy(update={"found": await two.found(spec)})})
    lower, lines = None, b""
    for _, upper in await two.exporter.plan(spec, two.second, 97, 4 << 20):
        lines += two.exporter.engine.compare_chunk(spec, two.exporter.org_id, two.second, lower, upper, backwards=backwards)
        lower = upper
    return [json.loads(line) for line in lines.split(b"\n")[:-1]]


def expected(before: dict[str, Any], after: dict[str, Any]) -> dict[str, tuple[str, Any, Any]]:
    found: dict[str, tuple[str, Any, Any]] = {}
    for key in {**before, **after}:
        a, b = before.get(key), after.get(key)
        if a is None or b is None:
            found[key] = ("added" if a is None else "removed", a, b)
        elif a != b:
            names = [name for name in a if a[name] != b[name]]
            found[key] = ("changed", {n: a[n] for n in names}, {n: b[n] for n in names})
    return found


async def rows(two: Two, spec: PlanSpec, snapshot: str) -> dict[str, Any]:
    return {key: json.loads(row) for key, row in await two.rows(spec, snapshot)}


@pytest.mark.parametrize("dataset", [name for name in DATASETS if name != "contacts"])
async def test_a_diff_is_what_two_whole_exports_say(two: Two, dataset: str) -> None:
    ranged = RANGE if registry.get(dataset).range_rule == "required" else {}
    spec = two.exporter.spec({"dataset": dataset, "format": "jsonl", **ranged})
    before, after = await rows(two, spec, two.first), await rows(two, spec, two.second)
    found = await diff(two, spec)
    assert {row["key"]: (row["op"], row["before"], row["after"]) for row in found} == expected(before, after)
    assert len({row["key"] for row in found}) == len(found)


async def test_other_filters_and_the_other_way_round(two: Two) -> None:
    if two.exporter.org_id != "org_few":
        return
    mine = two.exporter.spec({"dataset": "leads", "format": "jsonl", "columns": ["status", "email"], "filter": {"status": ["new", "lost"]}})
    theirs = two.exporter.spec(
        {"dataset": "leads", "format": "jsonl", "columns": ["status", "email"], "filter": {"status": ["qualified", "new"]}}
    )
    before, after = await rows(two, theirs, two.first), await rows(two, mine, two.second)
    found = await diff(two, mine, Wanted(filter=theirs.filter), backwards=True)
    assert {row["key"]: (row["op"], row["before"], row["after"]) for row in found} == expected(after, before)


async def test_keys_and_fields_are_redacted(two: Two) -> None:
    hidden = Redaction(profile="support", columns={"message_id": "hash", "content": "mask"}, detect=[])
    spec = two.exporter.spec({"dataset": "messages", "format": "jsonl", "columns": ["content", "origin"], **RANGE}, redaction=hidden)
    found = await diff(two, spec)
    assert all(row["key"].startswith("p_") for row in found)
    assert {(row[side] or {}).get("content") for row in found for side in ("before", "after")} <= {None, "[REDACTED]"}
    presences = two.exporter.spec({"dataset": "user-presence", "format": "jsonl", **RANGE}, redaction=hidden)
    assert all(row["key"] is None for row in await diff(two, presences))
