"""Server-sent events of one export: `progress` whenever something changed, `end` with the last state, then the stream closes."""

import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

from sse_starlette import EventSourceResponse, ServerSentEvent

from services.export_request.core.life import RUNNING
from services.export_request.ends import Ends
from services.export_request.store import Exports
from shared.errors import ApiError, TransientError
from shared.stopping import Stopping, pause

HEARTBEAT_SECONDS = 15


class Live:
    """Looks at the database when the export ends, and for its progress in growing intervals; holds no connection in between.

    `look_seconds`: the first interval and the longest.
    """

    def __init__(self, exports: Exports, ends: Ends) -> None:
        self._exports, self._ends = exports, ends
        self.look_seconds = (0.1, 1.0)

    def answer(self, org_id: str, export_id: str) -> EventSourceResponse:
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        return EventSourceResponse(self._events(org_id, export_id), ping=HEARTBEAT_SECONDS, headers=headers)

    async def _events(self, org_id: str, export_id: str) -> AsyncIterator[ServerSentEvent]:
        last: str = ""
        wait, longest = self.look_seconds
        with self._ends.of(export_id) as ended:
            while True:
                ended.clear()
                try:
                    if view := await self._view(org_id, export_id):
                        if view["status"] not in RUNNING:
                            yield _event("end", view)
                            return
                        if (seen := json.dumps([view["status"], _counts(view)])) != last:
                            last = seen
                            yield _event("progress", view)
                    await pause(wait, ended)
                except (ApiError, Stopping):
                    return  # deleted meanwhile, or the caller asks again, of a process that goes on
                wait = min(longest, wait * 1.2)

    async def _view(self, org_id: str, export_id: str) -> dict[str, Any] | None:
        """None while the database is away."""
        try:
            return await self._exports.view(await self._exports.get(org_id, export_id))
        except TransientError:
            return None


def _counts(view: Mapping[str, Any]) -> dict[str, Any]:
    """Progress without the estimate, which changes with the clock alone."""
    return {name: value for name, value in view["progress"].items() if name != "eta_seconds"}


def _event(name: str, view: Mapping[str, Any]) -> ServerSentEvent:
    return ServerSentEvent(json.dumps(view, ensure_ascii=False, separators=(",", ":")), event=name)
