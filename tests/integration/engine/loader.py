"""Records into the versioned tables in plain Python: what ingest does, spelled out once more for tests of what reads the tables."""

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

import psycopg
import rfc8785
from psycopg import sql

# type → table, and how its fields become columns: "json" (canonical text), "list", "time", else as they are.
TABLES = {
    "lead": "leads", "contact": "contacts", "channel": "channels", "agent": "agents", "team": "teams", "bot": "bots", "topic": "topics", "tag": "tags",
    "campaign": "campaigns", "conversation": "conversations", "message": "messages", "event": "events", "lock": "locks", "presence": "presences",
    "visit": "visits",
}  # fmt: skip
JSON = {("lead", "custom_properties"), ("contact", "profile"), ("contact", "attributes"), ("conversation", "metadata"),
        ("conversation", "parameters"), ("event", "data")}  # fmt: skip
LISTS = {("lead", "tags"), ("tag", "follower_ids"), ("conversation", "follower_ids")}
DEFAULTS = {("lead", "status"): "new", ("lead", "source"): "import", ("conversation", "status"): "new", ("agent", "removed"): False}
NESTED = {"sender": "sender", "actor": "actor", "support_bot": "support_bot", "csat": "csat"}
_TIME = re.compile(r"(\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d)(\.\d+)?(.*)")


def current_records(lines: Iterable[str]) -> dict[tuple[str, str], dict[str, Any]]:
    """What is held once all lines are in: (type, id) → data. A version not above the highest one seen is stale."""
    held: dict[tuple[str, str], dict[str, Any]] = {}
    highest: dict[tuple[str, str], int] = {}
    for line in lines:
        record = json.loads(line)
        key = (record["type"], record["id"])
        version = record.get("version")
        if version is not None:
            if version <= highest.get(key, -1):
                continue
            highest[key] = version
        if record.get("op", "upsert") == "upsert":
            held[key] = record.get("data") or {}
        else:
            held.pop(key, None)
    return held


def load(connection: psycopg.Connection[Any], org_id: str, lines: Iterable[str], scores: Mapping[str, int]) -> None:
    """Write the current records and scores as one transaction's versions."""
    held = current_records(lines)
    with connection.transaction(), connection.cursor() as cursor:
        for (kind, record_id), data in held.items():
            _insert(cursor, TABLES[kind], {"org_id": org_id, "id": record_id, **_columns(kind, data)})
        for lead_id, score in scores.items():
            row = {"org_id": org_id, "id": lead_id, "score": score, "reasons": "[]", "model_version": 1}
            _insert(cursor, "lead_scores", row)


def _insert(cursor: psycopg.Cursor[Any], table: str, row: dict[str, Any]) -> None:
    statement = sql.SQL("insert into ingest.{} ({}) values ({})").format(
        sql.Identifier(table), sql.SQL(", ").join(map(sql.Identifier, row)), sql.SQL(", ").join(sql.Placeholder() * len(row))
    )
    cursor.execute(statement, list(row.values()))


def _columns(kind: str, data: dict[str, Any]) -> dict[str, Any]:
    row: dict[str, Any] = {}
    for (owner, name), default in DEFAULTS.items():
        if owner == kind:
            row[name] = default
    for owner, name in JSON:
        if owner == kind:
            row[name] = rfc8785.dumps(_doubles(data.get(name))).decode()
    for owner, name in LISTS:
        if owner == kind:
            row[name] = data.get(name)
    for name, value in data.items():
        if value is None or (kind, name) in JSON or (kind, name) in LISTS:
            continue
        if name in NESTED:
            row |= {f"{NESTED[name]}_{inner}": v for inner, v in value.items()}
        else:
            row[name] = _milliseconds(value) if isinstance(value, str) and (name.endswith("_at") or name in ("at", "from", "to")) else value
    if kind == "event":
        row |= _event_columns(data)
    return row


def _doubles(value: Any) -> Any:
    """±2^53 as doubles: the library takes whole numbers below that only."""
    if isinstance(value, dict):
        return {k: _doubles(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_doubles(v) for v in value]
    return float(value) if isinstance(value, int) and abs(value) == 2**53 else value


def _event_columns(data: dict[str, Any]) -> dict[str, Any]:
    inner = data.get("data") or {}
    names = {
        "topic_id": inner.get("topic_id"),
        "tag_id": inner.get("tag_id"),
        "message_id": inner.get("message_id"),
        "to_status": inner.get("to"),
    }
    return {name: value for name, value in names.items() if isinstance(value, str)}


def _milliseconds(text: str) -> str:
    match = _TIME.fullmatch(text)
    assert match, text
    return match[1] + (match[2] or "")[:4] + match[3]
