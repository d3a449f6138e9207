"""What the cursor API says of itself (see shared/openapi.py)."""

from typing import Any

from services.export_request.core.walk import CURSOR_MAX, LIMIT_MAX
from shared.openapi import (
    BOOLEAN,
    CURSOR_PATTERN,
    INSTANT,
    WHEN,
    Component,
    answer,
    listed,
    nullable,
    operation,
    page,
    query,
    shown,
    text,
    whole,
)

_OBJECT = {"type": ["object", "null"], "description": "As the record gave it."}
_TEXT = nullable(text())
_CONVERSATION: dict[str, Any] = {
    "id": "conv_1", "channel_id": "ch_1", "contact_id": None, "lead_id": "lead_1", "visitor_id": None, "description": None, "status": "resolved", "language": "en",
    "url": "https://app.example/conversations/1", "created_at": "2026-03-15T09:22:41.123Z", "ended_at": "2026-03-15T10:02:00.000Z", "updated_at": None,
    "assignee_id": "agent_1", "follower_ids": [], "campaign_id": None, "support_bot": None, "qualification_triggered": True, "meeting_booked": False,
    "engagement_score": 61.5, "csat": {"score": 5, "completed_status": "Successful", "question": None, "answer": None}, "metadata": {"plan": "pro"}, "parameters": None,
}  # fmt: skip
_MESSAGE: dict[str, Any] = {
    "id": "msg_1", "conversation_id": "conv_1", "created_at": "2026-03-15T09:22:41.123Z", "sender": {"kind": "visitor", "id": None, "name": None}, "content": "Hello",
    "message_type": None, "origin": None, "outbound_message_type": None, "post_url": None, "updated_at": None, "deleted_at": None,
}  # fmt: skip
CONVERSATION = Component("Conversation", shown({
    "id": text(), "channel_id": _TEXT, "contact_id": _TEXT, "lead_id": _TEXT, "visitor_id": _TEXT, "description": _TEXT, "status": text(), "language": _TEXT, "url": _TEXT,
    "created_at": INSTANT, "ended_at": nullable(INSTANT), "updated_at": nullable(INSTANT), "assignee_id": _TEXT, "follower_ids": listed(text()), "campaign_id": _TEXT,
    "support_bot": nullable(shown({"id": text(), "revision_id": _TEXT, "section_path": _TEXT})), "qualification_triggered": nullable(BOOLEAN),
    "meeting_booked": nullable(BOOLEAN), "engagement_score": {"type": ["number", "null"]},
    "csat": nullable(shown({"score": nullable(whole(1, 5)), "completed_status": _TEXT, "question": _TEXT, "answer": _TEXT})), "metadata": _OBJECT, "parameters": _OBJECT,
}, examples=[_CONVERSATION]))  # fmt: skip
MESSAGE = Component("Message", shown({
    "id": text(), "conversation_id": text(), "created_at": INSTANT, "sender": nullable(shown({"kind": text(), "id": _TEXT, "name": _TEXT})), "content": _TEXT,
    "message_type": _TEXT, "origin": _TEXT, "outbound_message_type": _TEXT, "post_url": _TEXT, "updated_at": nullable(INSTANT), "deleted_at": nullable(INSTANT),
}, examples=[_MESSAGE]))  # fmt: skip
_LIMITS: dict[str, Any] = {
    "RateLimit": {"description": 'What is left, and in how many seconds there is more: `"cursor";r=2;t=1`.', "schema": text()},
    "RateLimit-Policy": {"description": 'The limit: `"cursor";q=3;w=1`, three in any second.', "schema": text()},
}
_PARAMETERS = [
    query("limit", whole(1, LIMIT_MAX, default=LIMIT_MAX), "Rows of a page at most; a page of large ones ends after about 8 MiB."),
    query("cursor", text(maxLength=CURSOR_MAX, pattern=CURSOR_PATTERN), "`next_cursor` of the page before; it holds `from` and `to`, which may be left out or said again. Good for a day from the first page."),
    query("from", WHEN, "Rows created from here on."), query("to", WHEN, "Rows created before."),
]  # fmt: skip


def _walk(what: str, row: Component) -> dict[str, Any]:
    return operation(
        f"Walk through all {what}, page by page", "Cursor API",
        {200: answer("A page, in order of `created_at`, then id.", page(row), headers=_LIMITS)},
        description="The first page takes a snapshot, which its cursors carry: no row is missed or seen twice while the data changes. Three requests a second by one key.",
        parameters=_PARAMETERS, errors=[410, 422, 429],
    )  # fmt: skip


WALK_CONVERSATIONS, WALK_MESSAGES = _walk("conversations", CONVERSATION), _walk("messages", MESSAGE)
