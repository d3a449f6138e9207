"""What is told on export-events: CloudEvents 1.0 in Kafka's binary mode."""

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from shared.clock import instant
from shared.errors import ApiError
from shared.outbox import Outgoing
from shared.topics import EXPORT_EVENTS

SOURCE, SCHEDULES = "/v1/exports", "/v1/schedules"
ID_MAX = 255
PROGRESS_EVERY = timedelta(seconds=1)


def export_event(told: str, data: Mapping[str, Any], event_id: str, now: datetime, traceparent: str = "") -> Outgoing:
    """An event about an export; `data` is its view."""
    return _event(told, data["id"], data, event_id, now, traceparent)


def refused_event(
    org_id: str, request_id: Any, requested_by: Any, error: ApiError, event_id: str, now: datetime, traceparent: str = ""
) -> Outgoing:
    """What became of a request over Kafka that no export came of; key and subject are the request's id."""
    known, by = _short(request_id), _short(requested_by)
    data = {"org_id": org_id, "request_id": known, "requested_by": by, "error": error.body()["error"]}
    return _event("refused", known or "", data, event_id, now, traceparent)


def run_failed_event(
    schedule: Mapping[str, Any], run: Mapping[str, Any], code: str, message: str | None, event_id: str, now: datetime, traceparent: str = ""
) -> Outgoing:
    """A schedule's run has failed, and isn't tried again; key and subject are the schedule's id."""
    data = _of_run(schedule, run) | {
        "backfill_id": run.get("backfill_id"),
        "export_id": run.get("export_id"),
        "error": {"code": code, "message": message or ""},
    }
    return _event("run_failed", schedule["id"], data, event_id, now, traceparent, "schedule")


def windows_skipped_event(
    schedule: Mapping[str, Any], run: Mapping[str, Any], event_id: str, now: datetime, traceparent: str = ""
) -> Outgoing:
    """Windows that were over when a newer one could run; `run` stands for them."""
    return _event(
        "windows_skipped", schedule["id"], _of_run(schedule, run) | {"windows": run["windows"]}, event_id, now, traceparent, "schedule"
    )


def _of_run(schedule: Mapping[str, Any], run: Mapping[str, Any]) -> dict[str, Any]:
    window = {"from": instant(run["window_from"]), "to": instant(run["window_to"])}
    return {"id": run["id"], "org_id": run["org_id"], "schedule_id": schedule["id"], "name": schedule["name"], "window": window}


def _short(text: Any) -> str | None:
    """What was sent, as far as it may be what it should be: nothing else is repeated."""
    return text[:ID_MAX] if isinstance(text, str) else None


def _event(
    told: str, subject: str, data: Mapping[str, Any], event_id: str, now: datetime, traceparent: str, about: str = "export"
) -> Outgoing:
    headers = {
        "ce_specversion": "1.0",
        "ce_id": event_id,
        "ce_source": SOURCE if about == "export" else SCHEDULES,
        "ce_type": f"waybill.{about}.{told}",
        "ce_time": str(instant(now)),
        "content-type": "application/json",
    }
    if subject:
        headers["ce_subject"] = subject
    if traceparent:
        headers |= {"traceparent": traceparent, "ce_traceparent": traceparent}
    return Outgoing(EXPORT_EVENTS, subject, json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode(), headers)


def progress_is_due(told_at: datetime | None, now: datetime) -> bool:
    """At most one progress event a second for an export."""
    return told_at is None or now - told_at >= PROGRESS_EVERY
