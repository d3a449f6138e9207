"""Generated records are valid and varied, requests over them can be answered, and both are the same for the same seed."""

import json
from collections import Counter
from typing import Any

import pytest

from services.ingest.core.records import decode
from tests.oracle import Oracle
from tests.oracle.columns import FORMATS
from tests.oracle.generate import SETTINGS, generate, ndjson
from tests.oracle.requests import requests
from tests.oracle.state import TYPES
from tests.oracle.words import Stories

SEED = 6


@pytest.fixture(scope="module")
def records() -> list[dict[str, Any]]:
    return generate(SEED, conversations=200)


@pytest.fixture(scope="module")
def oracle(records: list[dict[str, Any]]) -> Oracle:
    return Oracle(records, SETTINGS)


def test_a_seed_gives_the_same_records_and_requests(records: list[dict[str, Any]]) -> None:
    assert ndjson(generate(SEED, conversations=200)) == ndjson(records)
    assert requests(SEED, records) == requests(SEED, records)


def test_ingest_takes_every_record(records: list[dict[str, Any]]) -> None:
    lines = ndjson(records).splitlines()
    assert len(lines) == len(records)
    for line in lines:
        decode(line)


def test_every_type_comes_and_changes_and_goes(records: list[dict[str, Any]], oracle: Oracle) -> None:
    assert {record["type"] for record in records} == set(TYPES)
    assert {record.get("op") for record in records} == {None, "upsert", "delete"}
    assert oracle.state.stale > 20
    assert all(oracle.state.of[kind] for kind in TYPES)


def test_what_files_get_wrong_is_there(oracle: Oracle) -> None:
    """Instants shared by a message and an event in either order, every class of lock, first resolves by everybody, waits that end at once."""
    stories = list(Stories(oracle.state))
    instants = [Counter(m["created_at"] for m in s.messages) + Counter(e["at"] for e in s.events) for s in stories]
    assert sum(max(at.values(), default=0) > 1 for at in instants) > 50
    assert any(m["id"] == e["id"] and m["created_at"] == e["at"] for s in stories for m in s.messages for e in s.events)
    assert {s.lock_class(lock) for s in stories for lock in s.locks} == {"handle", "no-reply", "cherry-picking", None}
    resolvers = {(s.first_resolve["actor"] or {}).get("kind") for s in stories if s.first_resolve}
    assert resolvers == {"agent", "ai", "visitor", "bot", "system", "automation", "bulk", None}
    assert any(r.queued["at"] == r.message["created_at"] for s in stories for r in s.responses)
    assert any(not s.known and s.messages and s.events for s in stories)


def test_requests_cover_datasets_and_formats_and_have_files(records: list[dict[str, Any]], oracle: Oracle) -> None:
    asked = requests(SEED, records, 120)
    assert {(r["dataset"], r["format"]) for r in asked} == {(dataset, fmt) for dataset, formats in FORMATS.items() for fmt in formats}
    filled = Counter(r["dataset"] for r in asked if len(oracle.file(r, r["format"]).splitlines()) > 2)
    assert set(filled) == set(FORMATS)


def test_json_files_are_json(records: list[dict[str, Any]], oracle: Oracle) -> None:
    for request in requests(SEED, records, 60):
        if request["format"] == "json":
            assert isinstance(json.loads(oracle.file(request, "json")), dict if request["dataset"] == "chat-data" else list)
