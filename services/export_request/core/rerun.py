"""Whether an export can be run again at its instant, and what its files have to be then."""

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from services.export_request.core.life import RUNNING
from shared.digests import files_sha256
from shared.errors import Detail, conflict, gone, unprocessable

Row = Mapping[str, Any]


def check(source: Row) -> None:
    """Raises ApiError: 409 for an export that hasn't ended, 410 where its instant can't be seen any more."""
    if source["status"] in RUNNING:
        raise conflict("The export has not ended: wait for it, or cancel it.", export_id=source["id"])
    if source["protected"]:
        raise unprocessable(
            Detail("", "The export's password was wiped when it ended: ask for a new export with the same request and a password.")
        )
    if source["pruned"]:
        raise gone("What was replaced or deleted since has been pruned: the export can't be reproduced any more. Ask for a new one.")
    if source["erased"]:
        raise gone("A person was erased since: the export can't be reproduced any more. Ask for a new one.")
    if source["from_elsewhere"]:
        raise gone("The database was restored since: the export's instant is not known to it. Ask for a new one.")


def reproduces_sha256(source: Row) -> str | None:
    """The checksum over the files that have to come out again; None where the export never published any."""
    files = json.loads(source["files"])
    return files_sha256((f["format"], f["number"], f["bytes"], f["sha256"]) for f in files) if files else None


def expires_in(source: Row) -> timedelta:
    """As long as the first one was to be kept, and no longer than the organisation allows now."""
    kept: timedelta = source["expires_at"] - source["created_at"]
    return min(kept, timedelta(days=source["retention_days"]))
