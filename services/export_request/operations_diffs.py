"""What GET /v1/exports/{a}/diff/{b} says of itself (see shared/openapi.py)."""

from typing import Any

from shared.audit import PURPOSE_MAX
from shared.openapi import EXPORT_EXAMPLE_ID, Component, answer, line, nullable, one_of, operation, path, query, shown, text

_ROW: dict[str, Any] = {"type": ["object", "null"]}
DIFFERENCE = Component("Difference", shown({
    "op": one_of(("added", "removed", "changed")), "key": nullable(text("The row's id, as files show it; null where none does and a redaction holds.")),
    "before": {**_ROW, "description": "In the first export: the whole row, of a changed one the fields that differ; null where it wasn't there."},
    "after": {**_ROW, "description": "In the second export, likewise."},
}, examples=[{"op": "changed", "key": "lead_1", "before": {"status": "new"}, "after": {"status": "qualified"}}]))  # fmt: skip
DIFF_EXPORTS = operation(
    "Compare two exports, row by row and field by field", "Exports",
    {200: answer("NDJSON, a difference a line, in the order of the dataset; it is whole where the body ends as HTTP says.", DIFFERENCE, media="application/x-ndjson")},
    description="Both of one dataset with the same columns, each by its own filter, range and instant; expired ones too, while their instants can be seen. "
    "Redacted by what both of them and the default profile hide. It is noted in the audit trail before the first byte.",
    parameters=[
        path("a", "The first export's id.", EXPORT_EXAMPLE_ID), path("b", "The second export's id.", EXPORT_EXAMPLE_ID),
        query("purpose", line(PURPOSE_MAX), "Why: for the audit trail."),
    ],
    errors=[409, 410, 422, 429],
)  # fmt: skip
