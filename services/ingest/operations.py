"""What the HTTP operations of ingest say of themselves (see shared/openapi.py). The records' schemas are those of the types that read them."""

import functools
import operator
from collections.abc import Mapping
from typing import Any

import msgspec

from services.ingest.body import NDJSON, PACKED, UNPACKED_BYTES_MAX
from services.ingest.core.problems import CODES
from services.ingest.core.records import TAGGED
from services.ingest.core.types import ID_CODE_POINTS_MAX
from shared.openapi import BOOLEAN, COUNT, Component, answer, listed, one_of, operation, query, shown, text, whole


def _record_schemas() -> dict[str, Component]:
    """The schema of each record type, `<Name>Record`, and of what its `data` holds, `<Name>Data`; by the name that msgspec gives them."""
    _, found = msgspec.json.schema_components([functools.reduce(operator.or_, TAGGED)], ref_template="{name}")
    made: dict[str, Component] = {}

    def resolved(value: Any) -> Any:
        if isinstance(value, Mapping):
            return component(value["$ref"]) if "$ref" in value else {name: resolved(each) for name, each in value.items()}
        return [resolved(each) for each in value] if isinstance(value, list) else value

    def component(name: str) -> Component:
        if name not in made:
            schema = resolved({part: each for part, each in found[name].items() if part != "title"})
            tagged = name.startswith("Tagged")
            if tagged:
                schema["properties"]["id"] = text(minLength=1, maxLength=ID_CODE_POINTS_MAX)
            made[name] = Component(f"{name.removeprefix('Tagged')}{'Record' if tagged else 'Data'}", schema)
        return made[name]

    return {name: component(name) for name in found if name.startswith("Tagged")}


RECORD = Component(
    "Record", {"oneOf": list(_record_schemas().values()), "description": "One record, of one of fifteen types (docs/records.md)."}
)
_LINES = (
    b'{"type": "channel", "id": "ch_1", "data": {"medium": "Web chat", "name": "Website"}}\n'
    b'{"type": "lead", "id": "lead_1", "data": {"email": "ada@example.com", "created_at": "2026-03-15T09:22:41Z"}}\n'
).decode()
_REFUSED = shown(
    {
        "line": whole(1), "code": one_of(CODES), "field": text("A dotted path; empty for the whole line."), "message": text(),
    }
)  # fmt: skip

POST_RECORDS = operation(
    "Send records", "Records",
    {
        200: answer(
            "What was accepted is committed, and in every export requested from now on.",
            Component("RecordsAnswer", shown(
                {
                    "accepted": COUNT, "stale": {**COUNT, "description": "Older than what is held, by their version: without effect."},
                    "refused": listed(_REFUSED, maxItems=100, description="The first hundred."), "refused_count": COUNT,
                },
                examples=[{"accepted": 2, "stale": 0, "refused": [], "refused_count": 0}],
            )),
        ),
    },
    description="One record a line, the same as on the topic `records`. Lines that are refused don't keep the others out, unless it is all or nothing.",
    parameters=[query("atomic", {**BOOLEAN, "default": False}, "All or nothing: a bad line is a 422, and nothing was written.")],
    body={
        "required": False,
        "description": f"At most {UNPACKED_BYTES_MAX >> 20} MiB, unpacked. `Content-Encoding: gzip` is taken too.",
        "content": {
            NDJSON: {
                "schema": {
                    "type": "string", "contentMediaType": NDJSON, "contentSchema": listed(RECORD, description="The lines."),
                },
                "example": _LINES,
            },
            PACKED: {"schema": {"type": "string", "contentMediaType": PACKED, "description": "The same, packed."}},
        },
    },
    errors=[422],
)  # fmt: skip
