"""Destinations and deliveries as the HTTP API shows them. Secrets are never shown: only which ones are set."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from services.delivery.core.destinations.life import FAILURES_MAX, Reason, Status
from services.delivery.core.destinations.registry import all_kinds
from shared.clock import instant

Row = Mapping[str, Any]

EXPLAINED = {
    Reason.failing: f"{FAILURES_MAX} deliveries in a row were given up. Deliveries are held; a test that passes, or resuming it, sends them.",
    Reason.requested: "Paused by request. Deliveries are held until it is resumed.",
}


def destination_view(row: Row, shown_once: Mapping[str, str] | None = None) -> dict[str, Any]:
    """`shown_once`: secrets that were made here, for whoever asked, and never again."""
    config = json.loads(row["config"])
    return {
        "id": row["id"],
        "name": row["name"],
        "type": row["type"],
        "config": config,
        "secrets": sorted(row["secrets"]),
        **({"made": dict(shown_once)} if shown_once else {}),
        "place": all_kinds()[row["type"]].where(config),
        "paused": _paused(row),
        "failures": row["failures"],
        "failing_since": instant(row["failing_since"]),
        "last_test": _last_test(row),
        "created_at": instant(row["created_at"]),
        "updated_at": instant(row["updated_at"]),
    }


def _paused(row: Row) -> dict[str, Any] | None:
    if row["paused_reason"] is None:
        return None
    reason = Reason(row["paused_reason"])
    return {"reason": str(reason), "message": EXPLAINED[reason], "at": instant(row["paused_at"])}


def _last_test(row: Row) -> dict[str, Any] | None:
    if row["tested_at"] is None:
        return None
    return {"ok": row["test_code"] is None, "code": row["test_code"], "at": instant(row["tested_at"])}


def delivery_view(row: Row, now: datetime) -> dict[str, Any]:
    """As a list shows it. `under_way`: a process is bringing it at this moment."""
    claimed = row["claimed_by"] is not None and row["due_at"] is not None and row["due_at"] > now
    return {
        "id": row["id"],
        "export_id": row["export_id"],
        "schedule_id": row["schedule_id"],
        "destination": _destination(row),
        "status": row["status"],
        "under_way": claimed,
        "attempt_count": row["attempts"],
        "error": _error(row),
        "next_attempt_at": instant(row["due_at"]) if row["status"] == Status.pending and not claimed else None,
        "created_at": instant(row["created_at"]),
        "ended_at": instant(row["ended_at"]),
    }


def whole_delivery_view(row: Row, files: Sequence[Row], attempts: Sequence[Row], now: datetime) -> dict[str, Any]:
    return {
        **delivery_view(row, now),
        "files": [{"name": each["name"], "place": each["place"], "sent_at": instant(each["sent_at"])} for each in files],
        "attempts": [
            {"number": each["number"], "at": instant(each["at"]), "duration_ms": each["milliseconds"], "error": _error(each)} for each in attempts
        ],
    }  # fmt: skip


def _destination(row: Row) -> dict[str, Any]:
    """By name, too, where it is still there; a request's own e-mail addresses have no destination."""
    shown = {"type": row["type"], "id": row["destination_id"], "name": row["destination_name"]}
    return shown | ({"to": list(row["recipients"])} if row["recipients"] is not None else {})


def _error(row: Row) -> dict[str, Any] | None:
    return {"code": row["error_code"], "message": row["error_message"]} if row["error_code"] else None
