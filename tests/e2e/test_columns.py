"""Every column of leads, conversations and messages against values worked out by hand from the contract (docs/formats.md), in two time zones."""

import csv
import io
import json
from typing import Any

import pytest

from tests.e2e.conftest import Organisation


def record(record_type: str, id: str, /, **data: Any) -> dict[str, Any]:
    return {"type": record_type, "id": id, "data": data}


def message(id: str, at: str, sender: dict[str, Any] | None, content: str | None, **more: Any) -> dict[str, Any]:
    return record("message", id, conversation_id="conv_1", created_at=at, content=content, **({"sender": sender} if sender else {}), **more)


def tagged(id: str, at: str, kind: str, tag: str, on: str) -> dict[str, Any]:
    return record(
        "event",
        id,
        conversation_id="conv_1",
        at=at,
        kind=kind,
        actor={"kind": "agent", "id": "agent_1"},
        data={"tag_id": tag, "message_id": on},
    )


RECORDS = [
    record("channel", "ch_1", medium="Web chat", name="Website", display_name="Our site"),
    record("contact", "ct_1", medium="Web chat", primary_identifier="+32470", secondary_identifier="Zoë", name="Zoë Peeters", created_at="2026-01-01T00:00:00Z"),
    record("team", "team_1", name="Team, \"One\""),
    record("agent", "agent_1", name="Alex", email="alex@us.example", reference="A-1", team_id="team_1"),
    record("bot", "bot_1", name="Ada", kind="virtual_agent"),
    record("tag", "tag_1", name="urgent"),
    record("tag", "tag_2", name="billing, eu"),
    record("lead", "lead_1", email="jane@acme.example", name="Jane Smith", phone="+1-555", company="=Acme", status="qualified", source="api",
           source_url="https://x.example/?a=1,2", tags=["webinar", "enterprise"], assigned_to="agent_1",
           custom_properties={"size": "50", "budget": 1e5, "vip": True, "other": None},
           last_activity_at="2026-03-18T15:05:12.999+01:00", created_at="2026-03-15T09:22:41.999Z"),
    record("lead", "lead_2", email="bob@b.example", assigned_to="agent_gone", created_at="2026-03-16T00:00:00Z"),
    record("conversation", "conv_1", channel_id="ch_1", contact_id="ct_1", lead_id="lead_1", url="https://app.example/c/1", status="resolved",
           created_at="2026-03-29T00:59:59.500Z", ended_at="2026-03-29T01:08:36.999Z", qualification_triggered=True, meeting_booked=False),
    record("conversation", "conv_2", created_at="2026-03-30T12:00:00Z"),
    message("m_1", "2026-03-29T00:59:59.500Z", {"kind": "visitor"}, "Hi, \"there\"\r\n=1", message_type="text", origin="Web", post_url="https://p.example"),
    message("m_2", "2026-03-29T01:00:00.001Z", {"kind": "agent", "id": "agent_1"}, "=1+1", outbound_message_type="Reply", updated_at="2026-03-29T03:00:00+02:00"),
    message("m_3", "2026-03-29T01:01:00Z", {"kind": "ai", "id": "bot_1"}, None, deleted_at="2026-03-29T02:00:00Z"),
    message("m_4", "2026-03-29T13:02:00Z", None, ""),
    tagged("e_1", "2026-03-29T01:00:01Z", "tag_applied", "tag_2", "m_1"),
    tagged("e_2", "2026-03-29T01:00:02Z", "tag_applied", "tag_1", "m_1"),
    tagged("e_3", "2026-03-29T01:00:03Z", "tag_removed", "tag_2", "m_1"),
    tagged("e_4", "2026-03-29T01:00:04Z", "tag_applied", "tag_2", "m_1"),
    tagged("e_5", "2026-03-29T01:00:05Z", "tag_applied", "tag_gone", "m_1"),
    record("event", "e_6", conversation_id="conv_1", at="2026-03-29T01:05:33.250Z", kind="qualification_check", actor={"kind": "ai"}, data={"score": 82, "result": "qualified", "type": "x"}),
]  # fmt: skip
SETTINGS = {
    "name": "Synaptiq",
    "timezone": "UTC",
    "custom_properties": [{"name": n, "type": t} for n, t in (("size", "text"), ("budget", "number"), ("vip", "boolean"))],
}
CONVERSATION = ["conv_1", "Web chat", "Website", "Our site", "ct_1", "'+32470", "Zoë"]
URL = "https://app.example/c/1"


# business_email 8, phone_given 4, company_given 4, qualification 41 (half of 82), engagement 1; business_email 8
SCORES = {"lead_1": 58, "lead_2": 8}


@pytest.fixture(scope="module")
def world(organisation: Organisation) -> Organisation:
    assert organisation.http.patch("/v1/settings", json=SETTINGS).status_code == 200
    answer = organisation.send("\n".join(json.dumps(r) for r in RECORDS).encode())
    assert answer["accepted"] == len(RECORDS), answer
    organisation.settled(SCORES)
    return organisation


def rows(world: Organisation, **body: Any) -> list[list[str]]:
    content = world.download(world.completed(body | {"format": "csv"})).decode("utf-8-sig")
    return list(csv.reader(io.StringIO(content, newline="")))


MESSAGES = {"dataset": "messages", "timezone": "Europe/Brussels", "from": "2026-03-29", "to": "2026-03-30"}


def test_messages_in_a_zone_whose_clock_jumps(world: Organisation) -> None:
    got = rows(world, **MESSAGES)[1:]
    none6 = [""] * 5
    assert got == [
        ["m_1", "2026-03-29 01:59:59.500", *CONVERSATION, "text", "Web", "", "Inbound", *none6, "tag_2,tag_1,tag_gone", "billing, eu,urgent,",
         'Hi, "there"\r\n=1', URL, "https://p.example", "", ""],
        ["m_2", "2026-03-29 03:00:00.001", *CONVERSATION, "", "", "Reply", "Outbound", "agent_1", "Alex", "A-1", "team_1", 'Team, "One"', "", "",
         "'=1+1", URL, "", "2026-03-29 03:00:00.000", ""],
        ["m_3", "2026-03-29 03:01:00.000", *CONVERSATION, "", "", "", "Outbound", *none6, "", "", "", URL, "", "", "2026-03-29 04:00:00.000"],
        ["m_4", "2026-03-29 15:02:00.000", *CONVERSATION, "", "", "", "Outbound", *none6, "", "", "", URL, "", "", ""],
    ]  # fmt: skip


def test_missing_and_empty_differ_in_the_bytes(world: Organisation) -> None:
    content = world.download(world.completed(MESSAGES | {"format": "csv", "columns": ["message_id", "content", "tag_ids"]}))
    assert content.split(b"\r\n", 1)[0] == b'\xef\xbb\xbf"Message ID","Content","Tag IDs"'
    assert content.endswith(b'"m_2","\'=1+1",\r\n"m_3",,\r\n"m_4","",\r\n')


def test_messages_as_json_lines_in_utc(world: Organisation) -> None:
    lines = world.download(world.completed(MESSAGES | {"format": "jsonl", "timezone": "UTC"})).decode().splitlines()
    first, second = json.loads(lines[0]), json.loads(lines[1])
    assert [json.loads(line)["message_id"] for line in lines] == ["m_1", "m_2", "m_3", "m_4"]
    assert first == {
        "message_id": "m_1", "created_at": "2026-03-29 00:59:59.500", "conversation_id": "conv_1", "medium": "Web chat", "channel": "Website",
        "channel_display_name": "Our site", "contact_profile_id": "ct_1", "contact_primary_identifier": "+32470",
        "contact_secondary_identifier": "Zoë", "message_type": "text", "origin": "Web", "outbound_message_type": None, "direction": "Inbound",
        "agent_id": None, "agent_name": None, "agent_reference": None, "team_id": None, "team_name": None,
        "tag_ids": ["tag_2", "tag_1", "tag_gone"], "tag_names": ["billing, eu", "urgent", ""], "content": 'Hi, "there"\r\n=1',
        "conversation_url": URL, "post_url": "https://p.example", "last_updated": None, "deleted_at": None,
    }  # fmt: skip
    assert (second["agent_reference"], second["team_name"], second["tag_ids"], second["content"]) == ("A-1", 'Team, "One"', [], "=1+1")


def test_leads_as_csv(world: Organisation) -> None:
    assert rows(world, dataset="leads") == [
        ["id", "email", "name", "phone", "company", "status", "score", "source_url", "created_at", "last_activity_at", "tags", "assigned_to",
         "custom_size", "custom_budget", "custom_vip"],
        ["lead_1", "jane@acme.example", "Jane Smith", "'+1-555", "'=Acme", "qualified", "58", "https://x.example/?a=1,2", "2026-03-15T09:22:41Z",
         "2026-03-18T14:05:12Z", "webinar,enterprise", "alex@us.example", "50", "100000", "true"],
        ["lead_2", "bob@b.example", "", "", "", "new", "8", "", "2026-03-16T00:00:00Z", "", "", "agent_gone", "", "", ""],
    ]  # fmt: skip


def test_leads_as_json(world: Organisation) -> None:
    first, second = json.loads(world.download(world.completed({"dataset": "leads", "format": "json"})))
    assert first["custom_properties"] == {"budget": 100000, "other": None, "size": "50", "vip": True}
    assert first["conversations"] == [{"id": "conv_1", "started_at": "2026-03-29T00:59:59Z", "message_count": 4}]
    assert (first["tags"], first["score"], first["assigned_to"]) == (["webinar", "enterprise"], 58, "alex@us.example")
    assert (second["custom_properties"], second["conversations"], second["tags"]) == (None, [], None)


def test_conversations_as_json(world: Organisation) -> None:
    first, second = json.loads(world.download(world.completed({"dataset": "conversations"})))
    events = first.pop("events")
    assert first == {
        "conversation_id": "conv_1", "lead_id": "lead_1", "lead_email": "jane@acme.example", "started_at": "2026-03-29T00:59:59Z",
        "ended_at": "2026-03-29T01:08:36Z", "duration_seconds": 517, "message_count": 4, "qualification_triggered": True, "meeting_booked": False,
        "messages": [
            {"sender": "visitor", "content": 'Hi, "there"\r\n=1', "timestamp": "2026-03-29T00:59:59Z"},
            {"sender": "agent", "content": "=1+1", "timestamp": "2026-03-29T01:00:00Z"},
            {"sender": "ai", "content": None, "timestamp": "2026-03-29T01:01:00Z"},
            {"sender": None, "content": "", "timestamp": "2026-03-29T13:02:00Z"},
        ],
    }  # fmt: skip
    assert len(events) == 6
    assert events[0] == {"type": "tag_applied", "timestamp": "2026-03-29T01:00:01Z", "message_id": "m_1", "tag_id": "tag_2"}
    assert events[5] == {"type": "qualification_check", "timestamp": "2026-03-29T01:05:33Z", "result": "qualified", "score": 82}
    assert (second["ended_at"], second["duration_seconds"], second["meeting_booked"], second["messages"]) == (None, None, None, [])


def test_conversations_as_a_transcript(world: Organisation) -> None:
    text = world.download(world.completed({"dataset": "conversations", "format": "txt", "timezone": "Europe/Brussels"})).decode()
    assert text == (
        "Conversation conv_1 · Jane Smith · 2026-03-29 (Europe/Brussels)\n"
        '[01:59 AM] Jane: Hi, "there"\n  =1\n'
        "[03:00 AM] Alex: =1+1\n"
        "[03:01 AM] Ada: \n"
        "[03:02 PM] System: \n"
        "\n"
        "Conversation conv_2 · Visitor · 2026-03-30 (Europe/Brussels)\n"
    )


@pytest.mark.parametrize(
    ("filters", "ids"),
    [
        ({"status": "qualified"}, ["lead_1"]),
        ({"tags": ["enterprise", "nothing"]}, ["lead_1"]),
        ({"tags": {"all": ["enterprise", "nothing"]}}, []),
        ({"assigned_to": "agent_gone"}, ["lead_2"]),
        ({"created_after": "2026-03-16T00:00:00Z"}, []),
        ({"created_before": "2026-03-16T00:00:00Z"}, ["lead_1"]),
        ({"q": "SMITH"}, ["lead_1"]),
        ({"score_max": 8}, ["lead_2"]),
        ({"score_min": 8}, ["lead_1", "lead_2"]),
        ({"score_min": 59}, []),
        ({"ids": ["lead_2"], "status": "qualified"}, ["lead_2"]),
    ],
)
def test_filters_of_leads(world: Organisation, filters: dict[str, Any], ids: list[str]) -> None:
    got = rows(world, dataset="leads", columns=["id"], filter=filters)
    assert [row[0] for row in got[1:]] == ids
