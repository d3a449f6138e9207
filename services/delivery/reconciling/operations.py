"""What the HTTP operations on reconciliations say of themselves (see shared/openapi.py)."""

from typing import Any

from services.delivery.core.reconciling import KINDS
from shared.openapi import (
    BOOLEAN,
    COUNT,
    INSTANT,
    LOCATION,
    RETRY_AFTER,
    Component,
    answer,
    body,
    link,
    listed,
    nullable,
    one_of,
    operation,
    path,
    shown,
    taken,
    text,
    whole,
)

_ID = "rec_01KBX9ZJ5V8Q3M2N7R4T6W0Y1A"
RECONCILIATION_ID = path("reconciliation_id", "The reconciliation's id.", _ID)
_COUNT = shown({"objects": COUNT, "bytes": whole(0)})
_REPORT = shown({
    "agree": {**BOOLEAN, "description": "Nothing is missing or of another size, and nothing is there that belongs to nobody."},
    "store": _COUNT, "tables": _COUNT, **dict.fromkeys(KINDS, _COUNT), "abandoned_uploads": COUNT, "removed": _COUNT,
    "examples": {"type": "object", "additionalProperties": listed(text()), "description": "The first names of each kind that is worth a look."},
})  # fmt: skip
_NONE: dict[str, Any] = {"objects": 0, "bytes": 0}
_SOME: dict[str, Any] = {"objects": 2, "bytes": 903}
_EXAMPLE = {
    "id": _ID, "status": "completed", "repair": False, "asked_by": "operator:token", "asked_at": "2026-04-01T06:00:00Z", "ended_at": "2026-04-01T06:00:01Z",
    "report": {"agree": True, "store": _SOME, "tables": _SOME, **dict.fromkeys(KINDS, _NONE), "matched": _SOME, "abandoned_uploads": 0, "removed": _NONE, "examples": {}},
    "error": None,
}  # fmt: skip
RECONCILIATION = Component("Reconciliation", shown(
    {
        "id": text(), "status": one_of(("waiting", "running", "completed", "failed")), "repair": BOOLEAN, "asked_by": text(), "asked_at": INSTANT,
        "ended_at": nullable(INSTANT), "report": nullable(_REPORT), "error": nullable(text("Why it failed.")),
    },
    examples=[_EXAMPLE],
))  # fmt: skip
_NEXT = {"Follow": link("get_reconciliation", "What came of it.", reconciliation_id="$response.body#/id")}
POST_RECONCILIATION = operation(
    "Compare the store with the tables", "Operator", {202: answer("Asked for.", RECONCILIATION, headers=LOCATION | RETRY_AFTER, links=_NEXT)},
    description="Counts what is in the store and what was published, in both. With `repair` it removes what belongs to nobody and isn't young, and ends abandoned uploads.",
    body=body(Component("ReconciliationRequest", taken({"repair": {**BOOLEAN, "default": False}}, title="Reconciliation")), {"repair": True}, required=False),
)  # fmt: skip
LIST_RECONCILIATIONS = operation(
    "List the newest reconciliations", "Operator",
    {200: answer("The newest twenty.", Component("Reconciliations", shown({"data": listed(RECONCILIATION)}, examples=[{"data": [_EXAMPLE]}])))},
)  # fmt: skip
GET_RECONCILIATION = operation(
    "What a reconciliation found", "Operator", {200: answer("Its report, once it has ended.", RECONCILIATION, headers=RETRY_AFTER)}, parameters=[RECONCILIATION_ID],
)  # fmt: skip
