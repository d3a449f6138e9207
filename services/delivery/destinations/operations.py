"""What the HTTP operations on destinations and deliveries say of themselves (see shared/openapi.py)."""

from typing import Any

from services.delivery.core.destinations.bodies import NAME_MAX
from services.delivery.core.destinations.kinds import Field, Kind
from services.delivery.core.destinations.life import Reason, Status
from services.delivery.core.destinations.problems import Code
from services.delivery.core.destinations.registry import all_kinds
from shared import ids
from shared.openapi import (
    BOOLEAN,
    COUNT,
    INSTANT,
    LOCATION,
    NOTHING,
    PAGING,
    Component,
    answer,
    body,
    following,
    line,
    link,
    listed,
    nullable,
    one_of,
    operation,
    page,
    path,
    query,
    shown,
    taken,
    text,
    whole,
)

_TAG = "Destinations"
_DESTINATION_ID = path("destination_id", "The destination's id.", "dst_01KBX9ZJ5V8Q3M2N7R4T6W0Y1A")
_DELIVERY_ID = path("delivery_id", "The delivery's id.", "dlv_01KBX9ZJ5V8Q3M2N7R4T6W0Y1A")
_KINDS = list(all_kinds().values())
_SHOWN = all_kinds().get("s3", _KINDS[0])  # in examples


# ---- what is asked for


def _field(field: Field, required: bool) -> Any:
    said = {
        **field.schema,
        **({"writeOnly": True} if field.secret else {}),
        **({} if field.default is None else {"default": field.default}),
    }
    return said if required and field.required else nullable(said)


def _config(kind: Kind, complete: bool) -> Component:
    required = [each.name for each in kind.fields if each.required] if complete else []
    name = f"{kind.name.capitalize()}{'Config' if complete else 'Changes'}"
    return Component(
        name, taken({each.name: _field(each, required=True) for each in kind.fields}, required, description=f"Of {kind.title}.")
    )


def _new(kind: Kind) -> Component:
    fields = {"name": line(NAME_MAX), "type": one_of([kind.name]), "config": _config(kind, complete=True)}
    return Component(f"{kind.name.capitalize()}DestinationRequest", taken(fields, list(fields)))


NEW_DESTINATION = Component("DestinationRequest", {"oneOf": [_new(kind) for kind in _KINDS]})
DESTINATION_CHANGES = Component(
    "DestinationChanges",
    taken({
        "name": line(NAME_MAX),
        "config": {
            "anyOf": [_config(kind, complete=False) for kind in _KINDS],
            "description": "Fields that aren't named stay; null takes one away. Of the destination's own type. Another place wants the secrets again.",
        },
    }),
)  # fmt: skip

# ---- what is answered

_PLACE = _SHOWN.where({each.name: each.default for each in _SHOWN.fields} | dict(_SHOWN.example))
_EXAMPLE: dict[str, Any] = {
    "id": _DESTINATION_ID["example"], "name": "Warehouse", "type": _SHOWN.name,
    "config": {each.name: _SHOWN.example[each.name] for each in _SHOWN.fields if not each.secret and each.name in _SHOWN.example},
    "secrets": sorted(each.name for each in _SHOWN.fields if each.secret and each.name in _SHOWN.example), "place": _PLACE,
    "paused": None, "failures": 0, "failing_since": None, "last_test": {"ok": True, "code": None, "at": "2026-04-01T06:00:00Z"},
    "created_at": "2026-04-01T06:00:00Z", "updated_at": "2026-04-01T06:00:00Z",
}  # fmt: skip
_CODE = one_of(Code, description="docs/destinations.md says of each what to do.")
DESTINATION = Component("Destination", shown(
    {
        "id": text(), "name": text(), "type": one_of(all_kinds()), "config": {"type": "object", "description": "As it was given, without secrets."},
        "secrets": listed(text(), description="Which secrets are set."),
        "made": {"type": "object", "additionalProperties": text(), "description": "Secrets that were made here, where none were given: shown only now."},
        "place": text("Where it leads, for people."),
        "paused": nullable(shown({"reason": one_of(Reason), "message": text(), "at": INSTANT}, description="Why it is. Deliveries are held meanwhile.")),
        "failures": {**COUNT, "description": "Deliveries given up since one last arrived."}, "failing_since": nullable(INSTANT),
        "last_test": nullable(shown({"ok": BOOLEAN, "code": nullable(_CODE), "at": INSTANT})), "created_at": INSTANT, "updated_at": INSTANT,
    },
    optional=("made",), examples=[_EXAMPLE],
))  # fmt: skip
TESTED = Component("DestinationTest", shown(
    {
        "ok": BOOLEAN, "code": nullable(_CODE), "message": text("What failed, for people."), "place": nullable(text("Where the small file was.")),
        "seconds": {"type": "number", "minimum": 0},
    },
    examples=[{"ok": False, "code": "permission_denied", "message": "Writing to the bucket is not allowed.", "place": None, "seconds": 0.213}],
))  # fmt: skip
_ERROR = nullable(shown({"code": _CODE, "message": text()}))
_DELIVERY_EXAMPLE: dict[str, Any] = {
    "id": _DELIVERY_ID["example"], "export_id": "exp_01KBX9ZJ5V8Q3M2N7R4T6W0Y1A", "schedule_id": None,
    "destination": {"type": _SHOWN.name, "id": _DESTINATION_ID["example"], "name": "Warehouse"}, "status": "delivered", "under_way": False, "attempt_count": 1,
    "error": None, "next_attempt_at": None, "created_at": "2026-04-01T06:00:00Z", "ended_at": "2026-04-01T06:00:02Z",
}  # fmt: skip
_DELIVERY: dict[str, Any] = {
    "id": text(), "export_id": text(), "schedule_id": nullable(text()),
    "destination": shown(
        {
            "type": one_of(all_kinds()), "id": nullable(text("Null: e-mail addresses that the request named itself.")), "name": nullable(text()),
            "to": listed(text(), description="Those addresses."),
        },
        optional=("to",),
    ),
    "status": one_of(Status, description="`held`: its destination is paused."), "under_way": BOOLEAN, "attempt_count": COUNT,
    "error": {**_ERROR, "description": "What went wrong last; null once it has arrived."}, "next_attempt_at": nullable(INSTANT), "created_at": INSTANT,
    "ended_at": nullable(INSTANT),
}  # fmt: skip
DELIVERY = Component("Delivery", shown(_DELIVERY, examples=[_DELIVERY_EXAMPLE]))
WHOLE_DELIVERY = Component("DeliveryInFull", shown(
    _DELIVERY | {
        "files": listed(shown({"name": text(), "place": nullable(text("Where it is, for people.")), "sent_at": nullable(INSTANT)})),
        "attempts": listed(shown({"number": whole(1), "at": INSTANT, "duration_ms": COUNT, "error": _ERROR}), description="The last ones, newest first."),
    },
    examples=[_DELIVERY_EXAMPLE | {
        "files": [{"name": "leads.csv", "place": "exports/leads.csv", "sent_at": "2026-04-01T06:00:02Z"}],
        "attempts": [{"number": 1, "at": "2026-04-01T06:00:01Z", "duration_ms": 840, "error": None}],
    }],
))  # fmt: skip
_THIS = {"destination_id": "$response.body#/id"}
_NEXT = {
    "Look": link("get_destination", "What it is.", **_THIS), "Test": link("test_destination", "Whether it works.", **_THIS),
    "Change": link("patch_destination", "Another place, other secrets.", **_THIS), "Delete": link("delete_destination", "Nothing more is brought there.", **_THIS),
    "Pause": link("pause_destination", "Deliveries are held.", **_THIS), "Deliveries": link("list_export_deliveries", "What was brought there.", **_THIS),
}  # fmt: skip

# ---- operations

POST_DESTINATION = operation(
    "Make a destination", _TAG, {201: answer("The destination; its secrets are never shown.", DESTINATION, headers=LOCATION, links=_NEXT)},
    description="Test it before anything is brought there.",
    body=body(NEW_DESTINATION, {"name": "Warehouse", "type": _SHOWN.name, "config": dict(_SHOWN.example)}), errors=[409, 422],
)  # fmt: skip
LIST_DESTINATIONS = operation(
    "List destinations", _TAG, {200: answer("A page of them.", page(DESTINATION), links=following("list_destinations"))}, parameters=PAGING
)
GET_DESTINATION = operation("Look at a destination", _TAG, {200: answer("The destination.", DESTINATION)}, parameters=[_DESTINATION_ID])
PATCH_DESTINATION = operation(
    "Change a destination", _TAG, {200: answer("The destination as it is now.", DESTINATION)}, parameters=[_DESTINATION_ID],
    body=body(DESTINATION_CHANGES, {"name": "Warehouse, new"}), errors=[409, 422],
)  # fmt: skip
DELETE_DESTINATION = operation(
    "Delete a destination", _TAG, {204: answer("Nothing more is brought there; what waited for it is cancelled.")}, parameters=[_DESTINATION_ID],
    description="Not while a schedule names it.", errors=[409],
)  # fmt: skip
TEST_DESTINATION = operation(
    "Test a destination now", _TAG, {200: answer("What came of it.", TESTED)},
    description="Writes a small file there as a delivery would, and removes it. A test that passes resumes a destination that was paused because deliveries kept failing.",
    parameters=[_DESTINATION_ID], body=NOTHING, errors=[429],
)  # fmt: skip
PAUSE_DESTINATION = operation(
    "Pause a destination", _TAG, {200: answer("The destination: deliveries to it are held from now on.", DESTINATION)}, parameters=[_DESTINATION_ID], body=NOTHING,
)  # fmt: skip
RESUME_DESTINATION = operation(
    "Resume a destination", _TAG, {200: answer("The destination: what was held is brought now.", DESTINATION)}, parameters=[_DESTINATION_ID], body=NOTHING,
)  # fmt: skip
_ID = text(pattern=ids.PATTERN)
LIST_DELIVERIES = operation(
    "List deliveries of exports to destinations", _TAG, {200: answer("A page of deliveries, newest first.", page(DELIVERY), links=following("list_export_deliveries"))},
    parameters=[
        query("export_id", _ID, "Of this export."), query("destination_id", _ID, "To this destination."), query("schedule_id", _ID, "Of this schedule's runs."),
        query("status", one_of(Status), "One of these.", many=True), *PAGING,
    ],
)  # fmt: skip
GET_DELIVERY = operation(
    "Look at a delivery", _TAG, {200: answer("The delivery, its files and its attempts.", WHOLE_DELIVERY)}, parameters=[_DELIVERY_ID]
)
REDELIVER = operation(
    "Deliver an export again", _TAG, {202: answer("The delivery as it is now.", WHOLE_DELIVERY)}, parameters=[_DELIVERY_ID], body=NOTHING, errors=[409],
    description="One that was delivered begins anew: all of its files are brought again. One that was given up goes on where it was, and so does one that waits: it is tried now.",
)  # fmt: skip
