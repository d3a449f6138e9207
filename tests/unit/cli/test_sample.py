"""The sample: valid, the same bytes again, all types, and a life that could have been."""

import gzip
import json
from collections import Counter, defaultdict
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from cli.sample.pools import load
from tests.unit.cli.conftest import Waybill
from tests.unit.cli.record_rules import EVENT_DATA, TYPES, problems

FREE_MAIL = {domain for language in load() for domain in language.free_mail}


@pytest.fixture(scope="module")
def lines() -> list[str]:
    from cli.sample.generate import generate

    blocks = generate(600, 11, None, 1_767_225_600_000, 1_782_864_000_000)
    return "".join(block.text for block in blocks).splitlines()


@pytest.fixture(scope="module")
def records(lines: list[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in lines]


def test_every_line_is_a_valid_record(lines: list[str]) -> None:
    wrong = [(line[:120], found) for line in lines if (found := problems(line, None))]
    assert wrong[:5] == []


def test_all_types_and_event_kinds_occur(records: list[dict[str, Any]]) -> None:
    assert {record["type"] for record in records} == set(TYPES)
    assert set(EVENT_DATA) <= {record["data"]["kind"] for record in records if record["type"] == "event"}
    assert sum(record.get("op") == "delete" for record in records) >= 2


def test_the_same_arguments_give_the_same_bytes(waybill: Waybill) -> None:
    for name, seed in (("a", "5"), ("b", "5"), ("c", "6")):
        assert waybill("sample", "--conversations", "40", "--seed", seed, "--out", name).exit_code == 0
    a, b, c = (Path(name).read_bytes() for name in "abc")
    assert a == b
    assert a != c
    ids = [{(r["type"], r["id"]) for r in map(json.loads, text.splitlines())} for text in (a, c)]
    assert not ids[0] & ids[1], "samples of two seeds go into one organisation"
    assert waybill("sample", "-n", "40", "--seed", "5").stdout_bytes == a
    waybill("sample", "-n", "40", "--seed", "5", "--out", "a.gz")
    assert gzip.decompress(Path("a.gz").read_bytes()) == a


def test_the_organisation_is_in_every_record(waybill: Waybill) -> None:
    result = waybill("sample", "--conversations", "20", "--seed", "1", "--org", 'org "x"')
    assert result.exit_code == 0
    assert [problems(line, 'org "x"') for line in result.stdout_bytes.decode().splitlines()].count([]) == result.stdout_bytes.count(b"\n")


def test_versions_rise_within_an_id(records: list[dict[str, Any]]) -> None:
    seen: dict[tuple[str, str], int] = {}
    for record in records:
        if "version" in record:
            key = (record["type"], record["id"])
            assert record["version"] >= seen.get(key, -1), record
            seen[key] = record["version"]
    assert Counter((r["type"], r["id"]) for r in records).most_common(1)[0][1] > 1


def test_references_point_at_something(records: list[dict[str, Any]]) -> None:
    known: dict[str, set[str]] = defaultdict(set)
    for record in records:
        known[record["type"]].add(record["id"])
    pointers = {"conversation_id": "conversation", "channel_id": "channel", "contact_id": "contact", "lead_id": "lead", "agent_id": "agent",
                "team_id": "team", "topic_id": "topic", "tag_id": "tag", "message_id": "message", "campaign_id": "campaign"}  # fmt: skip
    for record in records:
        data = record.get("data", {})
        for field, value in [*data.items(), *(data.get("data") or {}).items()]:
            if field in pointers:
                assert value in known[pointers[field]], (record["type"], field, value)


def test_a_life_that_could_have_been(records: list[dict[str, Any]]) -> None:
    messages: dict[str, list[dict[str, Any]]] = defaultdict(list)
    locks: dict[tuple[str, str], list[tuple[datetime, datetime]]] = defaultdict(list)
    for record in records:
        data = record.get("data", {})
        if record["type"] == "message" and data:
            messages[data["conversation_id"]].append(data)
        if record["type"] == "lock" and "to" in data:
            locks[data["conversation_id"], data["agent_id"]].append((_at(data["from"]), _at(data["to"])))
    lengths = sorted(len(each) for each in messages.values())
    assert lengths[len(lengths) // 2] < 15 < lengths[-1] // 2, "mostly short, with a heavy tail"
    by_agents = [m for each in messages.values() for m in each if m["sender"]["kind"] == "agent"]
    bracketed = sum(any(a <= _at(m["created_at"]) <= b for a, b in locks[m["conversation_id"], m["sender"]["id"]]) for m in by_agents)
    assert bracketed > 0.99 * len(by_agents)
    assert sum(_at(m["created_at"]).weekday() < 5 for m in by_agents) > 0.97 * len(by_agents), "agents keep office hours"
    languages = {record["data"]["language"] for record in records if record["type"] == "conversation"}
    assert len(languages) >= 12
    mails = [record["data"]["email"] for record in records if record["type"] == "lead"]
    free = sum(mail.rpartition("@")[2] in FREE_MAIL for mail in mails)
    assert 0.2 < free / len(mails) < 0.6, "business and free mail"
    assert all(mail.isascii() for mail in mails)
    offsets = {m["created_at"][-6:] for each in messages.values() for m in each if not m["created_at"].endswith("Z")}
    assert {"+01:00", "+02:00", "-05:00", "-04:00", "+08:00"} <= offsets, "both sides of the clocks' change"


def test_statuses_follow_the_events(records: list[dict[str, Any]]) -> None:
    last: dict[str, str] = {}
    for record in records:
        if record["type"] == "event" and record["data"]["kind"] == "status_changed":
            last[record["data"]["conversation_id"]] = record["data"]["data"]["to"]
    final = {record["id"]: record["data"] for record in records if record["type"] == "conversation"}
    assert {ident: data["status"] for ident, data in final.items()} == {ident: last.get(ident, "new") for ident in final}
    assert all(("ended_at" in data) == (data["status"] == "resolved") for data in final.values())


def test_the_range_holds_all_beginnings(waybill: Waybill) -> None:
    text = waybill("sample", "-n", "50", "--seed", "3", "--from", "2024-02-29", "--to", "2024-03-02").stdout_bytes.decode()
    starts = [_at(r["data"]["created_at"]) for r in map(json.loads, text.splitlines()) if r["type"] == "conversation"]
    assert min(starts) >= _at("2024-02-29T00:00:00Z")
    assert max(starts) < _at("2024-03-02T00:00:00Z")


@pytest.mark.parametrize("count", ["0", "1"])
def test_hardly_anything_is_fine(waybill: Waybill, count: str) -> None:
    result = waybill("sample", "--conversations", count, "--seed", "1")
    assert result.exit_code == 0
    assert all(not problems(line, None) for line in result.stdout_bytes.decode().splitlines())


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (["--from", "soon"], "--from"),
        (["--from", "2026-02-02", "--to", "2026-02-02"], "--to"),
        (["--conversations", "-1"], "--conversations"),
        (["--json"], "--out"),
    ],
)
def test_wrong_use(waybill: Waybill, arguments: list[str], names: str) -> None:
    result = waybill("sample", *(["--conversations", "1"] if "--conversations" not in arguments else []), *arguments)
    assert result.exit_code == 2
    assert names in result.stderr


def _at(text: str) -> datetime:
    return datetime.fromisoformat(text)
