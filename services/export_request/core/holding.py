"""Legal holds: what can be held, and what a hold keeps from happening."""

from collections.abc import Mapping
from typing import Any

from services.export_request.core.life import RUNNING, Status
from shared.clock import instant
from shared.errors import conflict

Row = Mapping[str, Any]


def check_hold(row: Row) -> None:
    """Raises ApiError 409 for what has no files: there is nothing to keep."""
    if row["status"] == Status.completed:
        return
    what = "has not ended: hold it once it is completed" if row["status"] in RUNNING else "has no files that could be kept"
    raise conflict(f"The export is {row['status']}: it {what}.", export_id=row["id"])


def check_delete(row: Row) -> None:
    """Raises ApiError 409 for a held one."""
    if row["hold_at"] is not None:
        raise conflict("The export is held: it can't be deleted before the hold is released.", export_id=row["id"])


def hold_view(row: Row) -> dict[str, Any] | None:
    if row["hold_at"] is None:
        return None
    return {"reason": row["hold_reason"], "held_by": row["hold_by"], "held_at": instant(row["hold_at"])}
