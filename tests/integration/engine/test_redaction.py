"""What is redacted is in no file of any dataset in any format, is counted, and pseudonyms still join files."""

import csv
import io
import json
import re
from typing import Any

import psycopg
import pytest

from shared.datasets import registry
from shared.datasets.plan import CustomProperty, OwnPattern, Redaction
from shared.datasets.redaction import RANKS
from tests.integration.engine import planted
from tests.integration.engine.conftest import Exported, Exporter
from tests.integration.engine.loader import load
from tests.oracle.generate import SETTINGS, ndjson

EVERYTHING = Redaction(
    profile="everything",
    detect=["url", "email", "iban", "card_number", "ip_address", "phone"],
    patterns=[OwnPattern(name="everything.1", pattern="CANARY-[0-9]{5}")],
)
RANGE = {"from": "2025-01-01", "to": "2027-12-31"}


@pytest.fixture(scope="module")
def canaries(exporter: Exporter) -> Exporter:
    lines = ndjson(planted.planted(3, 15)).decode().strip("\n").split("\n")
    with psycopg.connect(exporter.database.url, autocommit=True) as connection:
        load(connection, "org_canary", lines, {})
        connection.execute("analyze")
    settings = {**SETTINGS, "custom_properties": [*SETTINGS["custom_properties"], {"name": "note"}, {"name": "number", "type": "number"}]}
    return Exporter(exporter.database, exporter.engine, "org_canary", settings)


async def export(exporter: Exporter, dataset: str, redaction: Redaction | None, **asked: Any) -> Exported:
    wanted = {"formats": list(registry.get(dataset).formats), **asked}
    ranged = RANGE if registry.get(dataset).range_rule == "required" else {}
    if registry.get(dataset).granularities:
        ranged = {**ranged, "granularity": "month"}
    spec = exporter.spec({"dataset": dataset, **ranged, **wanted}, redaction=redaction)
    return await exporter.export(spec, exporter.snapshot(), rows_max=70)


@pytest.mark.parametrize("dataset", registry.names())
async def test_a_planted_value_is_in_no_file(canaries: Exporter, dataset: str) -> None:
    bare, hidden = await export(canaries, dataset, None), await export(canaries, dataset, EVERYTHING)
    for name, data in hidden.files.items():
        text = planted.readable(data)
        assert not [trace for trace in planted.TRACES if trace in text], (name, text[:2000])
        if planted.EMAIL in planted.readable(bare.files[name]):
            assert "[REDACTED]" in text
        for part in hidden.parts[name]:
            assert part.result.first_key == part.result.last_key == ""
    again = await export(canaries, dataset, EVERYTHING)
    assert again.files == hidden.files
    assert [p.result for parts in again.parts.values() for p in parts] == [p.result for parts in hidden.parts.values() for p in parts]


@pytest.mark.parametrize("rule", [rule for rule in RANKS if rule != "keep"])
async def test_a_rule_holds_in_every_column_and_format(canaries: Exporter, rule: Any) -> None:
    for dataset in registry.names():
        of = registry.get(dataset)
        custom = [CustomProperty(**each) for each in canaries.settings["custom_properties"]]
        keys = {c.key for c in of.columns(custom)} | {"name", "agent_name", "content", "profile"}
        redaction = Redaction(profile="p", columns=dict.fromkeys(keys, rule))
        made = await export(canaries, dataset, redaction)
        for name, data in made.files.items():
            assert not [t for t in planted.LONG_TRACES if t in planted.readable(data)], (dataset, name)


async def test_what_is_counted_is_what_was_redacted(canaries: Exporter) -> None:
    redaction = EVERYTHING.model_copy(update={"columns": {"email": "mask", "custom_note": "remove"}})
    made = await export(canaries, "leads", redaction, formats=["jsonl"], columns=["email", "custom_properties", "created_at"])
    rows = [json.loads(line) for line in made.files["jsonl"].splitlines()]
    counts: dict[str, int] = {}
    for part in made.parts["jsonl"]:
        for counter, count in part.result.redacted.items():
            counts[counter] = counts.get(counter, 0) + count
    assert counts["columns.email"] == len(rows) == sum(r["email"] == "[REDACTED]" for r in rows)
    assert counts["columns.custom_note"] == sum(r["custom_properties"]["note"] is None for r in rows) == len(rows)
    assert counts["patterns.card_number"] >= sum(r["custom_properties"]["number"] == "[REDACTED]" for r in rows) == len(rows)
    assert (
        counts["patterns.email"]
        >= sum(r["custom_properties"]["quoted"].startswith('"[REDACTED]"\n\\[REDACTED]\t') for r in rows)
        == len(rows)
    )


async def test_what_events_data_hold_is_hidden_by_its_key_on_every_sheet(exporter: Exporter) -> None:
    event = {
        "conversation_id": "c1",
        "at": "2026-03-01T10:00:00Z",
        "kind": "SECRET-kind",
        "data": {"card": "SECRET-1", "of": [{"card": "SECRET-2"}], "left": "here"},
    }
    talk = {"type": "conversation", "id": "c1", "data": {"created_at": "2026-03-01T10:00:00Z"}}
    with psycopg.connect(exporter.database.url, autocommit=True) as connection:
        load(connection, "org_events", [json.dumps(talk), json.dumps({"type": "event", "id": "e1", "data": event})], {})
    redaction = Redaction(profile="p", columns={"events.card": "mask", "events.type": "remove"})
    of = Exporter(exporter.database, exporter.engine, "org_events")
    made = await export(of, "conversations", redaction, formats=["jsonl", "xlsx"])
    (told,) = json.loads(made.files["jsonl"])["events"]
    assert (told["type"], told["card"], told["of"], told["left"]) == (None, "[REDACTED]", [{"card": "[REDACTED]"}], "here")
    assert "SECRET" not in planted.readable(made.files["xlsx"])
    assert made.parts["jsonl"][0].result.redacted["columns.events.card"] == 2


async def test_pseudonyms_join_files_of_one_organisation_and_profile(canaries: Exporter, exporter: Exporter) -> None:
    rules = {"id": "hash", "lead_id": "hash", "lead_email": "hash", "email": "hash"}

    async def ids(of: Exporter, profile: str) -> tuple[set[str], set[str]]:
        redaction = Redaction(profile=profile, columns=rules)  # type: ignore[arg-type]
        leads = (await export(of, "leads", redaction, formats=["csv"], columns=["id", "email"])).files["csv"].decode("utf-8-sig")
        talks = (await export(of, "conversations", redaction, formats=["jsonl"], columns=["lead_id"])).files["jsonl"]
        return {row["id"] for row in csv.DictReader(io.StringIO(leads))}, {json.loads(t)["lead_id"] for t in talks.splitlines()} - {None}

    leads, named = await ids(canaries, "p")
    assert leads
    assert all(re.fullmatch("p_[0-9a-f]{32}", each) for each in leads)
    assert leads & named
    assert (await ids(canaries, "p"))[0] == leads
    assert not (await ids(canaries, "q"))[0] & leads, "another profile"
    other = Exporter(exporter.database, exporter.engine, "org_canary_2", canaries.settings)
    with psycopg.connect(exporter.database.url, autocommit=True) as connection:
        load(connection, "org_canary_2", ndjson(planted.planted(3, 5)).decode().strip("\n").split("\n"), {})
    assert not (await ids(other, "p"))[0] & leads, "another organisation"


async def test_a_kept_column_is_left_alone(canaries: Exporter) -> None:
    redaction = EVERYTHING.model_copy(update={"columns": {"id": "keep"}})
    made = await export(canaries, "leads", redaction, formats=["jsonl"], columns=["id", "email"])
    rows = [json.loads(line) for line in made.files["jsonl"].splitlines()]
    assert all(r["id"].startswith(planted.EMAIL) and "[REDACTED]" in r["email"] for r in rows)
