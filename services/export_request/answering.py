"""An export as the answer of an HTTP request."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from fastapi.responses import JSONResponse

from services.export_request.core.life import RUNNING
from services.export_request.core.view import retry_after_seconds
from services.export_request.store import Exports


class Answers:
    """While an export runs, `Retry-After` says when to look again."""

    def __init__(self, exports: Exports, clock: Callable[[], datetime]) -> None:
        self._exports, self._clock = exports, clock

    async def shown(self, row: Any, status: int = 200, headers: dict[str, str] | None = None) -> JSONResponse:
        when = {"Retry-After": str(retry_after_seconds(row, self._clock()))} if row["status"] in RUNNING else {}
        return JSONResponse(await self._exports.view(row), status, headers={**(headers or {}), **when})

    async def accepted(self, row: Any) -> JSONResponse:
        """202, and where to look for it."""
        return await self.shown(row, 202, {"Location": f"/v1/exports/{row['id']}"})
