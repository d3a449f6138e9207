"""Which events webhooks tell of, and the thin payload that they carry."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from shared.errors import PermanentError

EVENTS = (
    "export.awaiting_approval",
    "export.completed",
    "export.failed",
    "export.cancelled",
    "export.expired",
    "export.recalled",
    "schedule.delivery_failed",
)
TEST_EVENT = "webhook.test"
DELIVERY_FAILED = "schedule.delivery_failed"
PAYLOAD_BYTES_MAX = 20_000
TEXT_MAX = 500
CLOCKS_APART = timedelta(seconds=60)
_TYPE_PREFIX = "waybill."
_ID = re.compile(r"[A-Za-z0-9_-]{1,100}")
_SHOWN = ("id", "request_id", "dataset", "formats", "status", "created_at", "completed_at", "expires_at")


@dataclass(frozen=True)
class Event:
    """Something that endpoints are told. `id` is the webhook-id: the same for every attempt, at every endpoint."""

    id: str
    type: str
    at: datetime
    export_id: str
    payload: str


def type_of(ce_type: str) -> str | None:
    """The webhook's event of a CloudEvent's type; None for those that webhooks don't tell of (progress, for one)."""
    name = ce_type.removeprefix(_TYPE_PREFIX)
    return name if ce_type.startswith(_TYPE_PREFIX) and name in EVENTS else None


def event_of(kind: str, ce_id: str, ce_time: str, value: bytes, public_url: str) -> Event:
    """The event of a message on export-events. Raises PermanentError that names what is wrong with it."""
    if not _ID.fullmatch(ce_id):
        raise _invalid("ce_id", "is missing or has characters that a webhook-id must not have")
    try:
        at = datetime.fromisoformat(ce_time)
    except ValueError as error:
        raise _invalid("ce_time", "is not an instant") from error
    try:
        data = json.loads(value)
    except ValueError as error:
        raise _invalid("", "is not JSON") from error
    if at.tzinfo is None or not isinstance(data, dict) or not isinstance(data.get("id"), str):
        raise _invalid("id", "is missing, or the time has no offset")
    shown = thin_delivery(data, public_url) if kind == DELIVERY_FAILED else thin(data, public_url)
    return Event(ce_id, kind, at, data["id"], payload(kind, ce_time, shown))


def thin(data: Mapping[str, Any], public_url: str) -> dict[str, Any]:
    """What a subscriber needs to know what to ask for: ids, the state, counts, no content and no link that opens without a key."""
    shown: dict[str, Any] = {name: _short(data.get(name)) for name in _SHOWN}
    shown["rows"] = (data.get("progress") or {}).get("rows_written")
    shown["files"] = len(data.get("files") or [])
    error = data.get("error")
    shown["error"] = {"code": _short(error.get("code")), "message": _short(error.get("message"))} if error else None
    return {**shown, "url": f"{public_url.rstrip('/')}/v1/exports/{data['id']}"}


def thin_delivery(data: Mapping[str, Any], public_url: str) -> dict[str, Any]:
    """Of a delivery of a schedule's run that was given up: which, and a word for why."""
    shown = {name: _short(data.get(name)) for name in ("schedule_id", "delivery_id", "destination", "type", "attempts")}
    error = {"code": _short((data.get("error") or {}).get("code"))}
    return {"export_id": data["id"], **shown, "error": error, "url": f"{public_url.rstrip('/')}/v1/deliveries/{data.get('delivery_id')}"}


def _short(value: Any) -> Any:
    if isinstance(value, str):
        return value[:TEXT_MAX]
    return [_short(each) for each in value[:20]] if isinstance(value, list) else value


def payload(kind: str, timestamp: str, data: Mapping[str, Any]) -> str:
    """The body as it is signed and sent. Raises PermanentError where it would be too large."""
    text = json.dumps({"type": kind, "timestamp": timestamp, "data": data}, ensure_ascii=False, separators=(",", ":"))
    if len(text.encode()) >= PAYLOAD_BYTES_MAX:
        raise _invalid("", f"would make a payload of {PAYLOAD_BYTES_MAX} bytes or more")
    return text


def hears(events: list[str], created_at: datetime, event: Event) -> bool:
    """Whether an endpoint is told of an event: one it asked for, from after it was made (as far as clocks agree)."""
    return event.type in events and event.at >= created_at - CLOCKS_APART


def _invalid(field: str, problem: str) -> PermanentError:
    return PermanentError("invalid_event", f"'{field}' {problem}." if field else f"The event {problem}.", field)
