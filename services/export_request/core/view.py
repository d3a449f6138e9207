"""An export as the contract shows it: over HTTP and in events."""

import math
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from services.export_request.core.holding import hold_view
from services.export_request.core.life import RUNNING
from shared.clock import instant

Row = Mapping[str, Any]
_RETRY_AFTER_MAX = 10


def export_view(
    row: Row, files: list[dict[str, Any]], request: Any, now: datetime, public_url: str, position: int | None = None
) -> dict[str, Any]:
    """`row` of exports.exports, with its `files` and `request` decoded; `position` in the queue where it waits."""
    base = f"{public_url}/v1/exports/{row['id']}"
    there = row["status"] == "completed"
    return {
        "id": row["id"],
        "request_id": row["request_id"],
        "rerun_of": row["rerun_of"],
        "schedule_id": row["schedule_id"],
        "dataset": row["dataset"],
        "formats": list(row["formats"]),
        "format": row["formats"][0],
        "status": row["status"],
        "request": request,
        "progress": progress_view(row, now, position),
        "approval": approval_view(row),
        "hold": hold_view(row),
        "created_at": instant(row["created_at"]),
        "started_at": instant(row["started_at"]),
        "completed_at": instant(row["completed_at"]),
        "expires_at": instant(row["expires_at"]),
        "files": [_file(f, base) for f in files],
        "manifest_url": f"{base}/manifest" if there else None,
        "excluded": list(row["excluded"]),
        "error": {"code": row["error_code"], "message": row["error_message"]} if row["error_code"] else None,
    }


def approval_view(row: Row) -> dict[str, Any] | None:
    """Of an export that waits for an approval, or did: since when, above how many rows, and who decided."""
    if row["awaiting_since"] is None:
        return None
    return {
        "rows_above": row["approval_above"], "awaiting_since": instant(row["awaiting_since"]), "decided_by": row["decided_by"],
        "decided_at": instant(row["decided_at"]),
    }  # fmt: skip


def _file(file: Mapping[str, Any], base: str) -> dict[str, Any]:
    shown = {name: file[name] for name in ("name", "format", "media_type", "rows", "bytes", "sha256")}
    return {**shown, "url": f"{base}/files/{file['name']}"}


def progress_view(row: Row, now: datetime, position: int | None = None) -> dict[str, Any]:
    return {
        "rows_planned": row["rows_planned"],
        "rows_written": row["rows_written"],
        "chunks_planned": row["chunks_planned"],
        "chunks_done": row["chunks_done"],
        "percent": percent(row),
        "eta_seconds": eta_seconds(row, now),
        "queue_position": position,
    }


def percent(row: Row) -> float | None:
    """Of the rows; null until the plan says how many there are, and 100 only when every file is whole."""
    if row["status"] in ("completed", "expired"):
        return 100
    if not row["planned"] or not row["rows_planned"]:
        return None
    looked_at, planned = int(row["rows_written"]) + _rows_excluded(row), int(row["rows_planned"])
    return min(99.0, math.floor(1000 * looked_at / planned) / 10)


def _rows_excluded(row: Row) -> int:
    return sum(int(each["rows"]) for each in row["excluded"])


def eta_seconds(row: Row, now: datetime) -> int | None:
    """At the rate measured since the start; null where there is none yet."""
    if row["status"] not in RUNNING or not row["planned"] or not row["rows_written"] or row["started_at"] is None:
        return None
    taken: float = (now - row["started_at"]).total_seconds()
    return math.ceil(taken * int(row["rows_planned"] - row["rows_written"]) / int(row["rows_written"]))


def retry_after_seconds(row: Row, now: datetime) -> int:
    """When it is worth looking again: soon for a young export, every ten seconds for a long one."""
    age = (now - row["created_at"]).total_seconds()
    expected = eta_seconds(row, now)
    return max(1, min(_RETRY_AFTER_MAX, math.ceil(age / 4) if expected is None else expected))
