"""Server-sent events of one export: `progress` whenever something changed, `end` with the last state, then the stream closes."""

import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

from sse_starlette import EventSourceResponse, ServerSentEvent

from services.export_request.core.life import RUNNING
from services.export_request.store import Exports
from shared.errors import ApiError, TransientError
from shared.stopping import Stopping, pause

LOOK_SECONDS = (0.015, 1.0)  # how often: often for a young export, which may end within 100 ms, once a second for a long one
HEARTBEAT_SECONDS = 15
_STEADY = ("status", "progress", "error")


class Live:
    """Looks at the database in growing intervals; holds no connection in between."""

    def __init__(self, exports: Exports) -> None:
        self._exports = exports

    def answer(self, org_id: str, row: Mapping[str, Any]) -> EventSourceResponse:
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        return EventSourceResponse(self._events(org_id, row), ping=HEARTBEAT_SECONDS, headers=headers)

    async def _events(self, org_id: str, row: Mapping[str, Any]) -> AsyncIterator[ServerSentEvent]:
        last: str = ""
        wait, longest = LOOK_SECONDS
        while True:
            view = await self._exports.view(row)
            if row["status"] not in RUNNING:
                yield _event("end", view)
                return
            if (seen := json.dumps([view["status"], _counts(view)])) != last:
                last = seen
                yield _event("progress", view)
            try:
                await pause(wait)
            except Stopping:
                return  # the caller asks again, of a process that goes on
            wait = min(longest, wait * 1.2)
            try:
                row = await self._exports.get(org_id, row["id"])
            except TransientError:
                continue  # the database is away for a moment; the state is the last one known
            except ApiError:
                return  # deleted meanwhile


def _counts(view: Mapping[str, Any]) -> dict[str, Any]:
    """Progress without the estimate, which changes with the clock alone."""
    return {name: value for name, value in view["progress"].items() if name != "eta_seconds"}


def _event(name: str, view: Mapping[str, Any]) -> ServerSentEvent:
    return ServerSentEvent(json.dumps(view, ensure_ascii=False, separators=(",", ":")), event=name)
