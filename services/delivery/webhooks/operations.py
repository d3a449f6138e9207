"""What the HTTP operations on webhook endpoints say of themselves (see shared/openapi.py)."""

from typing import Any

from services.delivery.core.urls import URL_CHARACTERS_MAX
from services.delivery.core.webhooks.bodies import DESCRIPTION_MAX, OVERLAP_SECONDS_MAX
from services.delivery.core.webhooks.events import EVENTS, TEST_EVENT
from services.delivery.core.webhooks.health import Reason
from services.delivery.core.webhooks.life import Status
from shared.openapi import (
    BOOLEAN,
    COUNT,
    INSTANT,
    LOCATION,
    NOTHING,
    PAGING,
    WHEN,
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

_TAG = "Webhooks"
_ENDPOINT_ID = path("endpoint_id", "The endpoint's id.", "whe_01KBX9ZJ5V8Q3M2N7R4T6W0Y1A")
_DELIVERY_ID = path("delivery_id", "The delivery's id.", "whd_01KBX9ZJ5V8Q3M2N7R4T6W0Y1A")

# ---- what is asked for

_FIELDS: dict[str, Any] = {
    "url": {
        "type": "string", "format": "uri", "maxLength": URL_CHARACTERS_MAX, "pattern": "^https?://[!-~]+$",
        "description": "https, and a public address, unless the operator allows more.", "examples": ["https://hooks.example.com/waybill"],
    },
    "description": nullable(line(DESCRIPTION_MAX)),
    "events": listed(one_of(EVENTS), minItems=1, uniqueItems=True, description="Without it: all of them."),
}  # fmt: skip
NEW_ENDPOINT = Component("WebhookEndpointRequest", taken(_FIELDS, ["url"]))
ENDPOINT_CHANGES = Component("WebhookEndpointChanges", taken(_FIELDS | {"enabled": BOOLEAN}))

# ---- what is answered

_ENDPOINT_EXAMPLE: dict[str, Any] = {
    "id": _ENDPOINT_ID["example"], "url": "https://hooks.example.com/waybill", "description": None, "events": list(EVENTS), "enabled": True, "disabled": None,
    "failing_since": None, "old_secret_expires_at": None, "created_at": "2026-04-01T06:00:00Z", "updated_at": "2026-04-01T06:00:00Z",
}  # fmt: skip
_ENDPOINT: dict[str, Any] = {
    "id": text(), "url": text(format="uri"), "description": nullable(text()), "events": listed(one_of(EVENTS)), "enabled": BOOLEAN,
    "disabled": nullable(shown({"reason": one_of(Reason), "message": text(), "at": INSTANT}, description="Why it is.")),
    "failing_since": nullable(INSTANT), "old_secret_expires_at": nullable(INSTANT), "created_at": INSTANT, "updated_at": INSTANT,
}  # fmt: skip
ENDPOINT = Component("WebhookEndpoint", shown(_ENDPOINT, examples=[_ENDPOINT_EXAMPLE]))
ENDPOINT_WITH_SECRET = Component("WebhookEndpointWithSecret", shown(
    _ENDPOINT | {"secret": text("Shown only now.", pattern="^whsec_")}, examples=[_ENDPOINT_EXAMPLE | {"secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}],
))  # fmt: skip
_ERROR = nullable(shown({"code": text("docs/webhooks.md explains each."), "message": text()}))
_ATTEMPT = shown({
    "number": whole(1), "at": INSTANT, "duration_ms": nullable(COUNT), "response_code": nullable(whole()), "error": _ERROR, "response_excerpt": nullable(text()),
})  # fmt: skip
_DELIVERY_EXAMPLE: dict[str, Any] = {
    "id": _DELIVERY_ID["example"], "webhook_id": "evt_01KBX9ZJ5V8Q3M2N7R4T6W0Y1A", "event": "export.completed", "status": "delivered",
    "payload": {"type": "export.completed", "timestamp": "2026-04-01T06:00:01Z", "data": {"id": "exp_01KBX9ZJ5V8Q3M2N7R4T6W0Y1A"}},
    "created_at": "2026-04-01T06:00:01Z", "ended_at": "2026-04-01T06:00:02Z", "next_attempt_at": None, "attempt_count": 1,
    "attempts": [{"number": 1, "at": "2026-04-01T06:00:01Z", "duration_ms": 12, "response_code": 204, "error": None, "response_excerpt": None}],
}  # fmt: skip
DELIVERY = Component("WebhookDelivery", shown(
    {
        "id": text(), "webhook_id": text("The event's id: the same for every attempt, at every endpoint."), "event": one_of((*EVENTS, TEST_EVENT)), "status": one_of(Status),
        "payload": shown({"type": text(), "timestamp": INSTANT, "data": {"type": "object"}}, description="As it is signed and sent."),
        "created_at": INSTANT, "ended_at": nullable(INSTANT), "next_attempt_at": nullable(INSTANT), "attempt_count": COUNT,
        "attempts": listed(_ATTEMPT, description="The last ones, newest first."),
    },
    examples=[_DELIVERY_EXAMPLE],
))  # fmt: skip
_THIS = {"endpoint_id": "$response.body#/id"}
_NEXT = {
    "Look": link("get_endpoint", "What it is.", **_THIS), "Change": link("patch_endpoint", "Another URL, other events, on or off.", **_THIS),
    "Delete": link("delete_endpoint", "Nothing more is sent to it.", **_THIS), "Test": link("test_endpoint", "A message now.", **_THIS),
    "RotateSecret": link("rotate_secret", "A new secret.", **_THIS), "Deliveries": link("list_deliveries", "What was sent.", **_THIS),
}  # fmt: skip

# ---- operations

POST_ENDPOINT = operation(
    "Make a webhook endpoint", _TAG, {201: answer("The endpoint with its secret, shown only now.", ENDPOINT_WITH_SECRET, headers=LOCATION, links=_NEXT)},
    body=body(NEW_ENDPOINT, {"url": "https://hooks.example.com/waybill", "events": ["export.completed", "export.failed"]}), errors=[409],
)  # fmt: skip
LIST_ENDPOINTS = operation(
    "List webhook endpoints", _TAG, {200: answer("A page of them.", page(ENDPOINT), links=following("list_endpoints"))}, parameters=PAGING
)
GET_ENDPOINT = operation("Look at a webhook endpoint", _TAG, {200: answer("The endpoint.", ENDPOINT)}, parameters=[_ENDPOINT_ID])
PATCH_ENDPOINT = operation(
    "Change a webhook endpoint", _TAG, {200: answer("The endpoint as it is now.", ENDPOINT)}, parameters=[_ENDPOINT_ID], body=body(ENDPOINT_CHANGES, {"enabled": True}),
)  # fmt: skip
DELETE_ENDPOINT = operation("Delete a webhook endpoint", _TAG, {204: answer("Nothing more is sent to it.")}, parameters=[_ENDPOINT_ID])
ROTATE_SECRET = operation(
    "Rotate a webhook endpoint's secret", _TAG, {200: answer("The endpoint with its new secret, shown only now. The old one signs beside it for a while.", ENDPOINT_WITH_SECRET)},
    parameters=[_ENDPOINT_ID],
    body=body(
        Component("SecretRotation", taken({"overlap_seconds": whole(0, OVERLAP_SECONDS_MAX, description="How long the old secret signs beside the new one.")})), {"overlap_seconds": 3600}, required=False,
    ),
)  # fmt: skip
TEST_ENDPOINT = operation(
    "Send a test message now", _TAG,
    {200: answer("What came of it.", Component("WebhookTest", shown({"delivered": BOOLEAN, "delivery": DELIVERY}, examples=[{"delivered": True, "delivery": _DELIVERY_EXAMPLE}])))},
    description="Also to an endpoint that is disabled.", parameters=[_ENDPOINT_ID], body=NOTHING, errors=[409, 429],
)  # fmt: skip
RECOVER = operation(
    "Send again what failed", _TAG,
    {202: answer("How many are sent again.", Component("WebhookRecovery", shown({"since": INSTANT, "recovered": COUNT}, examples=[{"since": "2026-04-01T00:00:00Z", "recovered": 3}])))},
    parameters=[_ENDPOINT_ID], body=body(Component("RecoveryRequest", taken({"since": {**WHEN, "description": "Since when (a date: midnight UTC)."}}, ["since"])), {"since": "2026-04-01"}), errors=[409],
)  # fmt: skip
LIST_DELIVERIES = operation(
    "List what was sent to a webhook endpoint", _TAG, {200: answer("A page of deliveries, newest first.", page(DELIVERY), links=following("list_deliveries", endpoint_id="$request.path.endpoint_id"))},
    parameters=[_ENDPOINT_ID, query("status", one_of(Status), "One of these.", many=True), *PAGING],
)  # fmt: skip
REDELIVER = operation(
    "Send a delivery again", _TAG, {202: answer("The delivery as it is now.", DELIVERY)}, parameters=[_ENDPOINT_ID, _DELIVERY_ID], body=NOTHING, errors=[409],
)  # fmt: skip
