"""GET /v1/exports/{a}/diff/{b}: what differs between two exports, streamed."""

from collections.abc import AsyncIterator, Callable

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from services.export_request import operations_diffs as operations
from services.export_request.comparing import Diffs
from shared.audit import PURPOSE_MAX
from shared.checks import line
from shared.errors import invalid_request
from shared.http import Authenticator, Principal, id_of, refuse_unknown_parameters


def diffs_router(diffs: Diffs, auth: Authenticator) -> APIRouter:
    routes = APIRouter()
    reads = Depends(auth.requires("exports:read", "exports:download"))  # it shows what files hold

    @routes.get("/v1/exports/{a}/diff/{b}", **operations.DIFF_EXPORTS)
    async def diff_exports(request: Request, a: str, b: str, principal: Principal = reads) -> Response:
        refuse_unknown_parameters(request, {"purpose"})
        purpose = request.query_params.get("purpose")
        if purpose is not None and (wrong := line("purpose", purpose, PURPOSE_MAX)):
            raise invalid_request(*wrong)
        lines = await diffs.begin(principal, id_of(a), id_of(b), purpose or "")
        return Lines(lines, lambda: diffs.end(principal.org_id))

    return routes


class Lines(StreamingResponse):
    """Lets go however the answer ends: sent, broken off, or left by the caller before its first byte."""

    def __init__(self, lines: AsyncIterator[bytes], end: Callable[[], None]) -> None:
        super().__init__(
            lines, headers={"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}, media_type="application/x-ndjson"
        )
        self._end = end

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._end()
