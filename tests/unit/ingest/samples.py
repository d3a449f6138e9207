"""One full record of each type."""

import copy
import json
from typing import Any

AT = "2026-03-15T09:22:41.123Z"
LATER = "2026-03-15T10:00:00Z"
_WATCH = {"default_group_watch": "all", "default_direct_chat_watch": "info", "default_user_chat_watch": "none"}

SAMPLES: dict[str, dict[str, Any]] = {
    "lead": {
        "email": "zoe@example.com", "name": "Zoë", "company": "Acme", "title": "CTO", "phone": "+32", "status": "qualified", "source": "chat",
        "source_url": "https://a.example", "tags": ["a", "b"], "assigned_to": "agent_1", "custom_properties": {"plan": "pro", "seats": 5, "vip": True},
        "last_intent": "buy", "first_seen_at": AT, "last_activity_at": AT, "created_at": AT, "updated_at": AT,
    },
    "contact": {
        "medium": "Email", "primary_identifier": "p", "secondary_identifier": "s", "name": "n", "email": "e", "mobile_number": "m",
        "member_id": "m1", "lead_id": "lead_1", "profile": {"age": 31, "list": [1]},
        "attributes": [{"id": "a1", "name": "Plan", "value": "x", "type": "Dropdown"}], "created_at": AT, "updated_at": AT,
    },
    "channel": {"medium": "Email", "name": "Support", "display_name": "Support desk"},
    "agent": {
        "name": "Ann", "email": "e", "reference": "r", "team_id": "t", "channel_id": "c", "account_id": "a", "username": "u",
        "mobile_number": "m", "role": "owner", "removed": True, "created_at": AT, **_WATCH, "operator": True, "operator_email_reminder": False,
    },
    "team": {"name": "Care"},
    "bot": {"name": "Vera", "kind": "virtual_agent", "channel_id": "c", "created_at": AT},
    "topic": {"name": "Billing"},
    "tag": {"name": "vip", "description": "d", "channel_id": "c", "follower_ids": ["a"], "created_at": AT},
    "campaign": {"type": "campaign", "name": "Spring", "created_at": AT},
    "conversation": {
        "channel_id": "c", "contact_id": "p", "lead_id": "l", "visitor_id": "v", "description": "d", "status": "pending", "language": "nl",
        "url": "u", "created_at": AT, "ended_at": LATER, "updated_at": AT, "assignee_id": "a", "follower_ids": ["a"], "campaign_id": "k",
        "support_bot": {"id": "b", "revision_id": "r", "section_path": "s"}, "qualification_triggered": True, "meeting_booked": False,
        "engagement_score": 99.5, "csat": {"score": 5, "completed_status": "Successful", "question": "q", "answer": "a"},
        "metadata": {"b": 1, "a": [1.0]}, "parameters": {"x": None},
    },
    "message": {
        "conversation_id": "c", "created_at": AT, "sender": {"kind": "agent", "id": "a", "name": "Ann"}, "content": "hello",
        "message_type": "text", "origin": "web", "outbound_message_type": "Reply", "post_url": "u", "updated_at": AT, "deleted_at": AT,
    },
    "event": {
        "conversation_id": "c", "at": AT, "kind": "tag_applied", "actor": {"kind": "agent", "id": "a"}, "team_id": "t",
        "data": {"tag_id": "t1", "message_id": "m1"},
    },
    "lock": {"conversation_id": "c", "agent_id": "a", "team_id": "t", "from": AT, "to": LATER},
    "presence": {"agent_id": "a", "type": "Away", "away_state": "lunch", "from": AT, "to": AT},
    "visit": {"visitor_id": "v", "at": AT, "url": "u"},
}  # fmt: skip


def sample(name: str, **envelope: Any) -> dict[str, Any]:
    """A record of its own that a test may change."""
    return {"type": name, "id": f"{name}_1", **envelope, "data": copy.deepcopy(SAMPLES[name])}


def as_bytes(record: Any) -> bytes:
    return json.dumps(record).encode()
