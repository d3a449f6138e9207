"""What the HTTP operations on notifications say of themselves (see shared/openapi.py)."""

from typing import Any

from services.delivery.core.notifications.notices import Kind
from shared.openapi import (
    BOOLEAN,
    COUNT,
    INSTANT,
    NOTHING,
    PAGING,
    WHEN,
    Component,
    answer,
    following,
    listed,
    nullable,
    one_of,
    operation,
    page,
    query,
    shown,
    text,
)

_ERROR = nullable(shown({"code": text("docs/notifications.md explains each."), "message": text()}))
_EXAMPLE: dict[str, Any] = {
    "id": "ntf_01KBX9ZJ5V8Q3M2N7R4T6W0Y1A", "kind": "delivery_failed",
    "message": "The files of export exp_01KBX9ZJ5V8Q3M2N7R4T6W0Y1A were not brought to 'Warehouse' (sftp), after 4 attempts: Nobody listens at files.acme.example:22. They can still be downloaded.",
    "subject": {
        "delivery_id": "dlv_01KBX9ZJ5V8Q3M2N7R4T6W0Y1A", "export_id": "exp_01KBX9ZJ5V8Q3M2N7R4T6W0Y1A", "schedule_id": None,
        "destination_id": "dst_01KBX9ZJ5V8Q3M2N7R4T6W0Y1A", "type": "sftp", "code": "refused",
    },
    "created_at": "2026-04-01T06:00:00.000Z", "alerts": [{"type": "slack", "status": "sent", "attempts": 1, "count": 1, "error": None}],
}  # fmt: skip
NOTIFICATION = Component("Notification", shown(
    {
        "id": text(), "kind": one_of(Kind, description="docs/notifications.md says what to do about each."), "message": text(),
        "subject": {"type": "object", "description": "What it is about: ids, and a code where something failed."}, "created_at": INSTANT,
        "alerts": listed(shown({
            "type": text("Of the channel."), "status": one_of(("pending", "sent", "failed", "skipped")), "attempts": COUNT,
            "count": {**COUNT, "description": "How many notifications of its kind about the same thing it tells of."}, "error": _ERROR,
        }), description="What became of telling the alert channels. One alert tells of several; it stands with the newest."),
    },
    examples=[_EXAMPLE],
))  # fmt: skip
LIST_NOTIFICATIONS = operation(
    "List notifications, newest first", "Notifications", {200: answer("A page of them.", page(NOTIFICATION), links=following("list_notifications"))},
    parameters=[
        query("kind", one_of(Kind), "One of these.", many=True), query("created_after", WHEN, "From after this (a date: midnight UTC)."),
        query("created_before", WHEN, "From before this."), *PAGING,
    ],
)  # fmt: skip
TEST_ALERT_CHANNELS = operation(
    "Try the alert channels", "Organisation",
    {200: answer("What came of it, channel by channel in the settings' order.", Component("AlertChannelsTest", shown(
        {"channels": listed(shown({"type": text(), "delivered": BOOLEAN, "error": _ERROR}))},
        examples=[{"channels": [{"type": "slack", "delivered": True, "error": None}]}],
    )))},
    description="Each is sent a message that says that it is a test.", body=NOTHING,
)  # fmt: skip
