"""What the HTTP operations on the audit trail say of themselves (see shared/openapi.py)."""

from typing import Any

from services.export_request.core.auditing import TEXT_MAX
from shared.checks import SEEN
from shared.openapi import INSTANT, PAGING, SHA256, WHEN, Component, answer, nullable, operation, page, query, shown, text, whole

_EXAMPLE: dict[str, Any] = {
    "seq": 1, "at": "2026-04-01T06:00:00.000Z", "org_id": "org_synaptiq", "actor": "key:8c1f0a9b2d3e4f50", "address": "203.0.113.7", "action": "export.requested",
    "subject": "exp_01KBX9ZJ5V8Q3M2N7R4T6W0Y1A", "details": {"dataset": "leads", "formats": ["csv"]}, "purpose": "", "prev_hash": "0" * 64,
    "hash": "10c35c1f7a3c3da0a7f0a3f1f2ba2c0d33e0e8f2f3f61d3a8c0cf2fb7a6f0c11",
}  # fmt: skip
ENTRY = Component("AuditEntry", shown(
    {
        "seq": whole(1, description="Counts the chain's entries."), "at": INSTANT, "org_id": nullable(text("Null in the operator's chain.")),
        "actor": text("`key:<id>`, `kafka:<requested_by>`, `link:<id of the key that made it>`, `operator:<name>` or `service:<name>`."),
        "address": text("Where the request came from, as far as is known."), "action": text(), "subject": text(), "details": {},
        "purpose": text("Why, where it was said."), "prev_hash": SHA256,
        "hash": {**SHA256, "description": "Over the RFC 8785 form of all but itself: docs/audit.md."},
    },
    examples=[_EXAMPLE],
))  # fmt: skip
_TEXT = text(minLength=1, maxLength=TEXT_MAX, pattern=f"^{SEEN}*$")
_FILTERS = [
    query("action", _TEXT, "Whole (`export.requested`), or what is before its dot (`export`)."), query("actor", _TEXT, "Who."), query("subject", _TEXT, "An id."),
    query("from", WHEN, "Noted at this instant or after (UTC)."), query("to", WHEN, "Noted before."), *PAGING,
]  # fmt: skip
_AFTER = [query("after", text(pattern="^[0-9]{1,18}$", default="0"), "The number of the entry behind which it begins.")]
_LINES = answer(
    "NDJSON, one entry a line, oldest first, up to the newest one at this moment.", text(contentMediaType="application/x-ndjson"), media="application/x-ndjson",
)  # fmt: skip
LIST_ENTRIES = operation(
    "List the audit trail, newest first", "Organisation", {200: answer("A page of entries.", page(ENTRY))}, parameters=_FILTERS
)
EXPORT_ENTRIES = operation("Take the audit trail with you", "Organisation", {200: _LINES}, parameters=_AFTER)
LIST_OPERATORS_ENTRIES = operation(
    "List what operators did, newest first", "Operator", {200: answer("A page of entries.", page(ENTRY))}, parameters=_FILTERS
)
EXPORT_OPERATORS_ENTRIES = operation("Take the operator's audit trail with you", "Operator", {200: _LINES}, parameters=_AFTER)
