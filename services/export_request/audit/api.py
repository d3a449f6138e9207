"""The HTTP API of the audit trail: an organisation's chain for who may read it, the operator's own for the operator."""

import json
from collections.abc import AsyncIterator, Callable
from datetime import datetime

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response, StreamingResponse

from services.export_request.audit import operations
from services.export_request.audit.trail import Trail, Wanted
from services.export_request.core.auditing import TEXT_MAX
from shared import audit
from shared.audit_chain import OPERATOR
from shared.checks import is_seen
from shared.errors import Detail, invalid_request
from shared.http import Authenticator, Operator, Principal, address_of, refuse_unknown_parameters
from shared.outbox import Outbox, Outgoing
from shared.paging import page_of
from shared.parameters import Parameters

_TEXTS = ("action", "actor", "subject")


def audit_router(trail: Trail, outbox: Outbox, auth: Authenticator, secret: bytes, operator_token: str) -> APIRouter:
    routes = APIRouter()
    reader, operators = Depends(auth.requires("audit:read")), [Depends(Operator(operator_token))]

    @routes.get("/v1/audit", **operations.LIST_ENTRIES)
    async def list_entries(request: Request, principal: Principal = reader) -> Response:
        return await _page(trail, secret, principal.org_id, request)

    @routes.get("/v1/audit/export", **operations.EXPORT_ENTRIES)
    async def export_entries(request: Request, principal: Principal = reader) -> Response:
        return await _whole(trail, outbox, principal.org_id, request, lambda seen: audit.entry(principal, "audit.exported", "audit", seen))

    @routes.get("/v1/operator/audit", **operations.LIST_OPERATORS_ENTRIES, dependencies=operators)
    async def list_operators_entries(request: Request) -> Response:
        return await _page(trail, secret, OPERATOR, request)

    @routes.get("/v1/operator/audit/export", **operations.EXPORT_OPERATORS_ENTRIES, dependencies=operators)
    async def export_operators_entries(request: Request) -> Response:
        return await _whole(
            trail, outbox, OPERATOR, request, lambda seen: audit.by_operator("audit.exported", "audit", seen, address_of(request))
        )

    return routes


async def _page(trail: Trail, secret: bytes, org_id: str, request: Request) -> Response:
    wanted = _wanted(request)
    page = page_of(request, secret, f"audit/{org_id}/{wanted}")
    found = await trail.newest(org_id, wanted, int(page.behind[1]) if page.behind else None, page.sought)
    return page.answer(found, found, lambda each: (datetime.fromisoformat(each["at"]), str(each["seq"])))


async def _whole(trail: Trail, outbox: Outbox, org_id: str, request: Request, noted: Callable[[dict[str, int]], Outgoing]) -> Response:
    """Every entry behind `after` as NDJSON, oldest first, up to the newest one at this moment. Noted before the first byte."""
    refuse_unknown_parameters(request, {"after"})
    after, head = _after(request), await trail.head(org_id)
    await outbox.publish([noted({"after": after, "to": head.seq})])

    async def lines() -> AsyncIterator[bytes]:
        async for entries in trail.following(org_id, after, head.seq):
            yield b"".join(json.dumps(each, ensure_ascii=False, separators=(",", ":")).encode() + b"\n" for each in entries)

    return StreamingResponse(lines(), headers={"Cache-Control": "no-store"}, media_type="application/x-ndjson")


def _after(request: Request) -> int:
    text = request.query_params.get("after", "0")
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise invalid_request(Detail("after", "must be the number of an entry"))
    return int(text)


def _wanted(request: Request) -> Wanted:
    """The list's filters. Raises ApiError 400 naming every wrong one."""
    given = Parameters(request, (*_TEXTS, "from", "to"))
    texts = {name: given.one(name) for name in _TEXTS}
    for name, text in texts.items():
        if text is not None and not (1 <= len(text) <= TEXT_MAX and is_seen(text)):
            given.wrong.append(Detail(name, f"must be text of 1 to {TEXT_MAX} printable characters"))
    wanted = Wanted(**texts, from_at=given.instant("from"), to_at=given.instant("to"))
    given.require_right()
    return wanted
