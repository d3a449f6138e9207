"""What the API shows of schedules, their runs and backfills."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from services.export_request.core.schedules.runs import RunStatus
from shared.clock import instant


def schedule_view(row: Mapping[str, Any], export: Any, last_run: dict[str, Any] | None = None) -> dict[str, Any]:
    """`row` of exports.schedules, `export` its decoded request, `last_run` the view of a run."""
    paused = row["paused_at"] is not None
    return {
        "id": row["id"], "name": row["name"], "export": export, "frequency": row["frequency"], "cron": row["cron"], "timezone": row["timezone"],
        "sftp": row["sftp"], "destinations": json.loads(row["destinations"]), "catch_up": row["catch_up"], "has_password": row["protected"],
        "status": "paused" if paused else "active", "paused_at": instant(row["paused_at"]),
        "next_window": {"from": instant(row["next_from"]), "to": instant(row["next_to"])}, "next_run_at": None if paused else instant(row["due_at"]),
        "last_run": last_run, "created_at": instant(row["created_at"]), "updated_at": instant(row["updated_at"]),
    }  # fmt: skip


def run_view(row: Mapping[str, Any], deliveries: Sequence[Mapping[str, Any]] = ()) -> dict[str, Any]:
    """`deliveries`: rows of delivery.deliveries, of its export."""
    return {
        "id": row["id"], "schedule_id": row["schedule_id"], "kind": row["kind"], "backfill_id": row["backfill_id"],
        "window": {"from": instant(row["window_from"]), "to": instant(row["window_to"])}, "windows": row["windows"], "status": row["status"],
        "export_id": row["export_id"], "file_name": row["file_name"], "rows": row["rows"], "attempts": row["attempts"],
        "next_attempt_at": instant(row["start_at"]) if row["status"] == RunStatus.waiting else None,
        "reason": {"code": row["code"], "message": row["message"]} if row["code"] else None, "deliveries": [delivery_view(each) for each in deliveries],
        "delta": _delta_view(row), "created_at": instant(row["created_at"]), "started_at": instant(row["started_at"]), "ended_at": instant(row["ended_at"]),
    }  # fmt: skip


def _delta_view(row: Mapping[str, Any]) -> dict[str, Any] | None:
    """Of a schedule with `"since": "previous"`: what the run is measured from, or why it is whole."""
    if row["since"] is None and row["whole_code"] is None:
        return None
    whole = {"code": row["whole_code"], "message": row["whole_message"] or ""} if row["whole_code"] else None
    return {"since": row["since"], "whole": whole}


def delivery_view(row: Mapping[str, Any]) -> dict[str, Any]:
    """`destination` is null where the files went to addresses that no destination stands for."""
    error = {"code": row["error_code"], "message": row["error_message"] or ""} if row["error_code"] else None
    return {
        "id": row["id"],
        "destination": row["destination_id"],
        "type": row["type"],
        "status": row["status"],
        "attempts": row["attempts"],
        "error": error,
    }


def backfill_view(row: Mapping[str, Any]) -> dict[str, Any]:
    """`row` of exports.schedule_backfills with the number of its runs by status."""
    counts = {status: row[status] for status in ("waiting", "running", "completed", "failed", "cancelled")}
    return {
        "id": row["id"], "from": instant(row["from_at"]), "to": instant(row["to_at"]), "windows": row["windows"], **counts,
        "ended": counts["waiting"] + counts["running"] == 0, "created_at": instant(row["created_at"]),
    }  # fmt: skip
