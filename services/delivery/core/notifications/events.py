"""Events about schedules on export-events: the one that delivery tells, and those of export_request that people are told of."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Protocol

from services.delivery.core.notifications import notices
from services.delivery.core.notifications.notices import Notice
from shared.clock import instant
from shared.errors import PermanentError
from shared.outbox import Outgoing
from shared.topics import EXPORT_EVENTS

SOURCE = "/v1/deliveries"
DELIVERY_FAILED = "waybill.schedule.delivery_failed"
AWAITING = "waybill.export.awaiting_approval"
RUN_FAILED, WINDOWS_SKIPPED = "waybill.schedule.run_failed", "waybill.schedule.windows_skipped"
TOLD = frozenset({AWAITING, RUN_FAILED, WINDOWS_SKIPPED})


class FailedDelivery(Protocol):
    """What is told of it (destinations/telling.py)."""

    @property
    def at(self) -> datetime: ...
    @property
    def delivery_id(self) -> str: ...
    @property
    def export_id(self) -> str: ...
    @property
    def schedule_id(self) -> str | None: ...
    @property
    def type(self) -> str: ...
    @property
    def destination_id(self) -> str | None: ...
    @property
    def attempts(self) -> int: ...
    @property
    def code(self) -> str: ...
    @property
    def message(self) -> str: ...


def delivery_failed_event(what: FailedDelivery, event_id: str, traceparent: str) -> Outgoing:
    """`schedule.delivery_failed`: thin, no address in it, though a server's last words may be (`error.message` stays with the delivery)."""
    data = {
        "id": what.export_id, "schedule_id": what.schedule_id, "delivery_id": what.delivery_id, "destination": what.destination_id, "type": what.type,
        "attempts": what.attempts, "error": {"code": str(what.code)},
    }  # fmt: skip
    headers = {
        "ce_specversion": "1.0", "ce_id": event_id, "ce_source": SOURCE, "ce_type": DELIVERY_FAILED, "ce_time": str(instant(what.at)),
        "ce_subject": what.export_id, "content-type": "application/json",
    }  # fmt: skip
    if traceparent:
        headers |= {"traceparent": traceparent, "ce_traceparent": traceparent}
    return Outgoing(EXPORT_EVENTS, what.export_id, json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode(), headers)


def read(value: bytes) -> Mapping[str, Any]:
    """Raises PermanentError for what is no event's data."""
    try:
        data = json.loads(value)
    except ValueError as error:
        raise PermanentError("invalid_event", "The event is not JSON.") from error
    if not isinstance(data, dict) or not isinstance(data.get("id"), str):
        raise PermanentError("invalid_event", "'id' is missing.", "id")
    return data


def notice_of(kind: str, at: datetime, data: Mapping[str, Any]) -> Notice:
    """What people are told of one of TOLD."""
    if kind == AWAITING:
        rows = (data.get("progress") or {}).get("rows_planned")
        return notices.approval_awaited(at=at, export_id=data["id"], dataset=str(data.get("dataset")), rows=rows)
    of_run = {"at": at, "schedule_id": data["schedule_id"], "name": data["name"], "run_id": data["id"], "window": _window(data["window"])}
    if kind == RUN_FAILED:
        error = data["error"]
        return notices.schedule_run_failed(
            **of_run, export_id=data["export_id"], code=error["code"], message=error["message"], backfill_id=data.get("backfill_id")
        )
    return notices.schedule_windows_skipped(**of_run, windows=data["windows"])


def _window(window: Mapping[str, Any]) -> str:
    return f"{window['from']} to {window['to']}" if window["from"] else str(window["to"])
