"""Who may approve or reject an export, and when."""

from collections.abc import Mapping
from typing import Any

from services.export_request.core.life import Approved, Rejected, Status
from shared.errors import ApiError, conflict

Row = Mapping[str, Any]


def check(row: Row, decision: Approved | Rejected, key_id: str, key_name: str | None) -> bool:
    """Whether there is something to do; not where this key has said the same before. Raises ApiError: 403 for who asked; 409 where nothing is to be decided.

    Who asked over HTTP is a key. Over Kafka it is what the publisher says (`requested_by`): a key that it names, by id or name, is the one who asked.
    """
    if row["requested_by"] is not None and row["requested_by"] in (f"key:{key_id}", key_id, key_name):
        raise ApiError(403, "forbidden", "Who has asked for an export can't decide on it: somebody else has to, with another key.")
    if row["status"] == Status.awaiting_approval:
        return True
    said = row["decided_by"] == f"key:{key_id}" and (row["error_code"] == "rejected") is isinstance(decision, Rejected)
    if said:
        return False
    word = "was decided on already" if row["decided_by"] else "waits for no approval"
    raise conflict(f"The export {word}; it is {row['status']}.", export_id=row["id"])
