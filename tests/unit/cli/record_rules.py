"""What a record must look like, written down a second time from the records' contract: types, required fields, enums, limits."""

import json
import re
from collections.abc import Callable
from datetime import datetime
from typing import Any

TEXT, BOOL, TS, LIST, FREE, NUMBER = "text", "bool", "ts", "list", "free", "number"
KINDS = ("visitor", "agent", "ai", "bot", "system")
REASONS = ("MANUALLY_BY_USER", "USER_DELETED", "USER_OFFLINE", "CHANNEL_DELETE", "CHANNEL_ACCESS_REVOKED", "CONVERSATION_RESOLVED", "VA_ENCOUNTERED_ERROR",
           "GDPR_INVOKED")  # fmt: skip
STARTED = ("NEW_CONVERSATION", "VA_HANDED_OVER_CONVERSATION", "VA_REASSIGNED_CONVERSATION_TO_HUMAN_AGENT", "INBOUND_MESSAGE")
COMPLETED = ("Successful", "Skipped", "Customer did not respond", "Customer's response was not recognized")
WATCH = ("all", "info", "none")
Rule = Any


def texts(names: str) -> dict[str, Rule]:
    return dict.fromkeys(names.split(), TEXT)


# A name that ends in "!" is required. A tuple is an enum, a dict an object, a one-entry list a list of objects.
TYPES: dict[str, dict[str, Rule]] = {
    "lead": {**texts("email! name company title phone source_url assigned_to last_intent"), "status": ("new", "qualified", "contacted", "converted", "lost"),
             "source": ("chat", "api", "import", "form"), "tags": LIST, "custom_properties": FREE, "first_seen_at": TS, "last_activity_at": TS,
             "created_at!": TS, "updated_at": TS},
    "contact": {**texts("medium primary_identifier secondary_identifier name email mobile_number member_id lead_id"), "profile": FREE,
                "attributes": [{**texts("id! name! value"), "type": ("Freeform", "Dropdown")}], "created_at!": TS, "updated_at": TS},
    "channel": texts("medium! name! display_name"),
    "agent": {**texts("name! email reference team_id channel_id account_id username mobile_number"), "role": ("owner", "member"), "removed": BOOL,
              "created_at": TS, "default_group_watch": WATCH, "default_direct_chat_watch": WATCH, "default_user_chat_watch": WATCH, "operator": BOOL,
              "operator_email_reminder": BOOL},
    "team": texts("name!"),
    "bot": {**texts("name! channel_id"), "kind!": ("virtual_agent", "support_bot", "channel_bot"), "created_at": TS},
    "topic": texts("name!"),
    "tag": {**texts("name! description channel_id"), "follower_ids": LIST, "created_at": TS},
    "campaign": {"type!": ("oneTimeMsg", "campaign"), "name": TEXT, "created_at": TS},
    "conversation": {**texts("channel_id contact_id lead_id visitor_id description language url assignee_id campaign_id"),
                     "status": ("new", "pending", "resolved"), "created_at!": TS, "ended_at": TS, "updated_at": TS, "follower_ids": LIST,
                     "support_bot": texts("id! revision_id section_path"), "qualification_triggered": BOOL, "meeting_booked": BOOL,
                     "engagement_score": (0, 100), "csat": {"score": (1, 5), "completed_status": COMPLETED, **texts("question answer")},
                     "metadata": FREE, "parameters": FREE},
    "message": {**texts("conversation_id! content message_type origin post_url"), "created_at!": TS,
                "sender": {"kind!": KINDS, **texts("id name")}, "outbound_message_type": ("Reply", "Proactive"), "updated_at": TS, "deleted_at": TS},
    "event": {**texts("conversation_id! kind! team_id"), "at!": TS, "actor": {"kind!": (*KINDS, "automation", "bulk"), "id": TEXT}, "data": FREE},
    "lock": {**texts("conversation_id! agent_id! team_id"), "from!": TS, "to": TS},
    "presence": {**texts("agent_id! away_state"), "type!": ("Available", "Away"), "from!": TS, "to": TS},
    "visit": {**texts("visitor_id! url"), "at!": TS},
}  # fmt: skip
EVENT_DATA: dict[str, dict[str, Rule]] = {
    "queued": {"started_by!": STARTED, "handover_reason": REASONS, "message_id": TEXT},
    "status_changed": {"to!": ("new", "pending", "resolved"), **texts("reason comment"),
                       "trigger": ("Human Agent", "Virtual Agent", "Automation", "Auto Resolve")},
    "handover": {"reason": REASONS},
    "topic_applied": texts("topic_id!"), "topic_removed": texts("topic_id!"),
    "tag_applied": texts("tag_id! message_id"), "tag_removed": texts("tag_id! message_id"),
    "qualification_check": {"result": TEXT, "score": NUMBER},
}  # fmt: skip
TIMESTAMP = re.compile(r"\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])T([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d+)?(Z|[+-]\d\d:\d\d)")


def problems(line: str, org_id: str | None) -> list[str]:
    """What is wrong with one line, as `path: words`; empty where nothing is."""
    if len(line.encode()) > 1024 * 1024:
        return ["the record is above 1 MiB"]
    record = json.loads(line, object_pairs_hook=_no_duplicates)
    found = [f"{key}: unknown" for key in record if key not in ("type", "id", "op", "version", "org_id", "data")]
    if record.get("org_id") != org_id:
        found.append("org_id: not the one asked for")
    if (
        not isinstance(record.get("id"), str)
        or not 1 <= len(record["id"]) <= 128
        or any(ord(c) < 32 or 127 <= ord(c) < 160 for c in record["id"])
    ):
        found.append("id: not 1 to 128 characters")
    if "version" in record and not (type(record["version"]) is int and 0 <= record["version"] < 2**53):
        found.append("version: no whole number")
    if record.get("op", "upsert") == "delete":
        return [*found, *(["data: a delete has none"] if "data" in record else [])]
    data = record["data"]
    found += _object(TYPES[record["type"]], data, "data")
    if record["type"] == "event" and data["kind"] in EVENT_DATA:
        found += _object(EVENT_DATA[data["kind"]], data.get("data", {}), "data.data", more=True)
    if record["type"] in ("lock", "presence") and "to" in data and _instant(data["to"]) < _instant(data["from"]):
        found.append("data.to: before from")
    return found


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    assert len({key for key, _ in pairs}) == len(pairs), f"a key twice: {pairs}"
    return dict(pairs)


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _object(rules: dict[str, Rule], value: Any, path: str, more: bool = False) -> list[str]:
    if not isinstance(value, dict):
        return [f"{path}: no object"]
    known = {name.rstrip("!"): rule for name, rule in rules.items()}
    found = [f"{path}.{name[:-1]}: missing" for name in rules if name.endswith("!") and value.get(name[:-1]) is None]
    found += [f"{path}.{name}: unknown" for name in value if name not in known and not more]
    for name, rule in known.items():
        if value.get(name) is not None:
            found += _value(rule, value[name], f"{path}.{name}")
    return found


def _value(rule: Rule, value: Any, path: str) -> list[str]:
    if isinstance(rule, dict):
        return _object(rule, value, path)
    if isinstance(rule, list):
        return [p for n, each in enumerate(value) for p in _object(rule[0], each, f"{path}.{n}")]
    if isinstance(rule, tuple) and isinstance(rule[0], int):
        good = type(value) in (int, float) and rule[0] <= value <= rule[1]
    elif isinstance(rule, tuple):
        good = value in rule
    else:
        checks: dict[str, Callable[[Any], bool]] = {
            TEXT: _is_text,
            BOOL: lambda v: isinstance(v, bool),
            TS: lambda v: isinstance(v, str) and bool(TIMESTAMP.fullmatch(v)),
            LIST: lambda v: isinstance(v, list) and all(_is_text(each) for each in v),
            FREE: lambda v: isinstance(v, dict),
            NUMBER: lambda v: type(v) in (int, float),
        }
        good = checks[rule](value)
    return [] if good else [f"{path}: {value!r} is not allowed"]


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and "\x00" not in value and len(value.encode()) <= 256 * 1024
