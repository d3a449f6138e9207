"""Webhook endpoints and deliveries as the HTTP API shows them. Secrets are shown by those who make them, nowhere else."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from services.delivery.core.webhooks.health import EXPLAINED, Reason
from shared.clock import instant

Row = Mapping[str, Any]


def endpoint_view(row: Row, now: datetime) -> dict[str, Any]:
    rotating = row["previous_until"] is not None and row["previous_until"] > now
    return {
        "id": row["id"],
        "url": row["url"],
        "description": row["description"],
        "events": list(row["events"]),
        "enabled": row["enabled"],
        "disabled": _disabled(row),
        "failing_since": instant(row["failing_since"]),
        "old_secret_expires_at": instant(row["previous_until"]) if rotating else None,
        "created_at": instant(row["created_at"]),
        "updated_at": instant(row["updated_at"]),
    }


def _disabled(row: Row) -> dict[str, Any] | None:
    if row["enabled"]:
        return None
    reason = Reason(row["disabled_reason"])
    return {"reason": str(reason), "message": EXPLAINED[reason], "at": instant(row["disabled_at"])}


def delivery_view(row: Row) -> dict[str, Any]:
    """A delivery with its last attempts, the newest first."""
    return {
        "id": row["id"],
        "webhook_id": row["webhook_id"],
        "event": row["event"],
        "status": row["status"],
        "payload": json.loads(row["payload"]),
        "created_at": instant(row["created_at"]),
        "ended_at": instant(row["ended_at"]),
        "next_attempt_at": instant(row["due_at"]) if row["claimed_by"] is None else None,
        "attempt_count": row["attempts"],
        "attempts": [attempt_view(each) for each in row["last_attempts"]],
    }


def attempt_view(row: Row) -> dict[str, Any]:
    error = {"code": row["error_code"], "message": row["error_message"]} if row["error_code"] else None
    return {
        "number": row["number"],
        "at": instant(row["at"]),
        "duration_ms": row["milliseconds"],
        "response_code": row["response_code"],
        "error": error,
        "response_excerpt": row["excerpt"],
    }
