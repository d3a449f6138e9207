"""Filters over the example records, against a plain reading of what they say."""

import json
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest

from tests.integration.engine.conftest import RECORDS, Exporter
from tests.integration.engine.loader import current_records

HELD = current_records(RECORDS)


def of(kind: str) -> dict[str, dict[str, Any]]:
    return {i: data for (k, i), data in HELD.items() if k == kind}


LEADS, TALKS, MESSAGES, AGENTS, CHANNELS, TAGS = map(of, ("lead", "conversation", "message", "agent", "channel", "tag"))
Wanted = Callable[[str, dict[str, Any]], Any]


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


def senders(conversation: str) -> set[str]:
    said = [m.get("sender") or {} for m in MESSAGES.values() if m["conversation_id"] == conversation]
    return {s["id"] for s in said if s.get("kind") == "agent" and s.get("id")}


def team(agent: str | None) -> str | None:
    return AGENTS.get(agent or "", {}).get("team_id")


def tags_of(conversation: str) -> set[str]:
    """Ids and names of the tags that a conversation itself holds."""
    events = sorted((at(e["at"]), i, e) for (k, i), e in HELD.items() if k == "event" and e["conversation_id"] == conversation)
    last = {e["data"]["tag_id"]: e["kind"] for _, _, e in events
            if e["kind"] in ("tag_applied", "tag_removed") and not (e.get("data") or {}).get("message_id")}  # fmt: skip
    held = {tag for tag, kind in last.items() if kind == "tag_applied"}
    return held | {TAGS[tag]["name"] for tag in held if tag in TAGS}


def medium(conversation: str) -> str | None:
    return CHANNELS.get(TALKS.get(conversation, {}).get("channel_id") or "", {}).get("medium")


ANY_AGENT = next(a for t in TALKS for a in sorted(senders(t)))
ANY_TEAM = next(team(a) for t in TALKS for a in sorted(senders(t)) if team(a))
ANY_TAG = next(tag for t in TALKS for tag in sorted(tags_of(t)))
CASES: list[tuple[str, dict[str, Any], Wanted]] = [
    ("leads", {"status": ["new", "lost"]}, lambda i, d: d.get("status", "new") in ("new", "lost")),
    ("leads", {"source": "chat"}, lambda i, d: d.get("source", "import") == "chat"),
    ("leads", {"tags": "webinar"}, lambda i, d: "webinar" in (d.get("tags") or [])),
    ("leads", {"tags": {"all": ["webinar", "enterprise"]}}, lambda i, d: {"webinar", "enterprise"} <= set(d.get("tags") or [])),
    ("leads", {"assigned_to": ["agent_ghost"]}, lambda i, d: d.get("assigned_to") == "agent_ghost"),
    ("leads", {"score_min": 38, "score_max": 70}, lambda i, d: None),
    ("leads", {"created_after": "2026-03-03T21:00:16Z"}, lambda i, d: at(d["created_at"]) > at("2026-03-03T21:00:16Z")),
    ("leads", {"created_before": "2026-03-02"}, lambda i, d: at(d["created_at"]) < at("2026-03-01T23:00:00Z")),
    ("leads", {"q": "éLOÏSE"}, lambda i, d: "éloïse" in (d.get("name") or "").lower()),
    ("leads", {"q": "%"}, lambda i, d: False),
    ("leads", {"ids": ["lead_4540215f", "nope"], "status": "lost"}, lambda i, d: i == "lead_4540215f"),
    ("conversations", {"status": "resolved"}, lambda i, d: d.get("status", "new") == "resolved"),
    ("conversations", {"lead_id": ["lead_538453d7"]}, lambda i, d: d.get("lead_id") == "lead_538453d7"),
    ("conversations", {"medium": "Web chat"}, lambda i, d: medium(i) == "Web chat"),
    ("conversations", {"channel": sorted(CHANNELS)[:1]}, lambda i, d: d.get("channel_id") == sorted(CHANNELS)[0]),
    ("conversations", {"agent_id": ANY_AGENT}, lambda i, d: d.get("assignee_id") == ANY_AGENT or ANY_AGENT in senders(i)),
    ("conversations", {"team_id": ANY_TEAM}, lambda i, d: ANY_TEAM in {team(a) for a in {d.get("assignee_id"), *senders(i)}}),
    ("conversations", {"tags": [ANY_TAG]}, lambda i, d: ANY_TAG in tags_of(i)),
    ("conversations", {"tags": {"all": [ANY_TAG, "nope"]}}, lambda i, d: False),
    ("conversations", {"started_after": "2026-03-01"}, lambda i, d: at(d["created_at"]) > at("2026-02-28T23:00:00Z")),
    ("messages", {"medium": ["Web chat", "Twitter"]}, lambda i, d: medium(d["conversation_id"]) in ("Web chat", "Twitter")),
    (
        "messages",
        {"channel": sorted(CHANNELS)[0]},
        lambda i, d: TALKS.get(d["conversation_id"], {}).get("channel_id") == sorted(CHANNELS)[0],
    ),
    ("messages", {"channel": "x' or true --"}, lambda i, d: False),
]
KEY = {"leads": ("id", LEADS), "conversations": ("conversation_id", TALKS), "messages": ("message_id", MESSAGES)}


@pytest.mark.parametrize(("dataset", "given", "wanted"), CASES, ids=[f"{d}-{json.dumps(f)}" for d, f, _ in CASES])
async def test_filter(exporter: Exporter, dataset: str, given: dict[str, Any], wanted: Wanted) -> None:
    key, records = KEY[dataset]
    wide = {"from": "2020-01-01", "to": "2030-01-01", "timezone": "Europe/Brussels"}
    request = {
        "dataset": dataset,
        "format": "jsonl",
        "filter": given,
        **(wide if "ids" not in given else {"from": "2029-01-01", "timezone": "UTC"}),
    }
    made = await exporter.export(exporter.spec(request), exporter.snapshot(), 11)
    got = [json.loads(line) for line in made.files["jsonl"].decode().strip("\n").split("\n") if line]
    if "score_min" in given:
        assert got
        assert all(38 <= row["score"] <= 70 for row in got)
        return
    assert [row[key] for row in got] == [
        i for i, d in sorted(records.items(), key=lambda r: (at(_cut(r[1]["created_at"])), r[0].encode())) if wanted(i, d)
    ]


def _cut(text: str) -> str:
    """To the millisecond, as records are kept."""
    moment = at(text)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000).isoformat()


async def test_selected_columns_in_json(exporter: Exporter) -> None:
    request = {"dataset": "conversations", "format": "json", "columns": ["message_count", "conversation_id", "events"]}
    rows = json.loads((await exporter.export(exporter.spec(request), exporter.snapshot(), 9)).files["json"])
    assert {tuple(row) for row in rows} == {("message_count", "conversation_id", "events")}
    counts = {i: sum(m["conversation_id"] == i for m in MESSAGES.values()) for i in TALKS}
    assert {row["conversation_id"]: row["message_count"] for row in rows} == counts


async def test_one_column_of_a_dimension_alone(exporter: Exporter) -> None:
    base = {"dataset": "messages", "format": "csv", "from": "2020-01-01", "to": "2030-01-01", "timezone": "UTC"}
    made = await exporter.export(exporter.spec({**base, "columns": ["tag_names"]}), exporter.snapshot(), 50)
    lines = made.files["csv"].decode().split("\r\n")
    assert lines[0] == '\ufeff"Tag Names"'
    assert len(lines) == len(MESSAGES) + 2


async def test_scheduled_messages_leave_out_what_was_said_on_twitter_and_nothing_else(exporter: Exporter) -> None:
    request = {"dataset": "messages", "format": "jsonl", "from": "2020-01-01", "to": "2030-01-01", "timezone": "UTC"}
    asked, scheduled = [
        [json.loads(line) for line in made.files["jsonl"].decode().strip("\n").split("\n")]
        for made in [await exporter.export(exporter.spec(request, scheduled=said), exporter.snapshot(), 40) for said in (False, True)]
    ]
    assert [row | {"content": None} for row in asked] == [row | {"content": None} for row in scheduled]
    for before, after in zip(asked, scheduled, strict=True):
        assert after["content"] == (None if medium(before["conversation_id"]) == "Twitter" else before["content"])
    hidden = [row for row in asked if row["medium"] == "Twitter" and row["content"] is not None]
    assert hidden and any(row["medium"] != "Twitter" and row["content"] for row in scheduled)
