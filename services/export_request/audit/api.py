"""The HTTP API of the audit trail: an organisation's chain for who may read it, the operator's own for the operator."""

import json
from collections.abc import AsyncIterator, Callable
from datetime import datetime

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse

from services.export_request.audit import operations
from services.export_request.audit.trail import Trail, Wanted
from services.export_request.core.auditing import TEXT_MAX
from shared import audit, cursors
from shared.audit_chain import OPERATOR
from shared.checks import is_seen
from shared.datasets.instants import resolve_instant
from shared.errors import Detail, invalid_request
from shared.http import Authenticator, Operator, Principal, address_of, limit_of, refuse_unknown_parameters
from shared.outbox import Outbox, Outgoing

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
    refuse_unknown_parameters(request, {*_TEXTS, "from", "to", "limit", "cursor"})
    wanted, count = _wanted(request), limit_of(request)
    scope = f"audit/{org_id}/{wanted}"
    before = int(cursors.open_(secret, scope, c)[1]) if (c := request.query_params.get("cursor")) is not None else None
    found = await trail.newest(org_id, wanted, before, count + 1)
    more, found = len(found) > count, found[:count]
    following = cursors.sign(secret, scope, datetime.fromisoformat(found[-1]["at"]), str(found[-1]["seq"])) if more else None
    return JSONResponse({"data": found, "next_cursor": following, "has_more": more})


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
    query, wrong = request.query_params, []
    texts = {name: query.get(name) for name in _TEXTS}
    for name, text in texts.items():
        if text is not None and not (1 <= len(text) <= TEXT_MAX and is_seen(text)):
            wrong.append(Detail(name, f"must be text of 1 to {TEXT_MAX} printable characters"))
    times: dict[str, datetime | None] = {"from": None, "to": None}
    for name in times:
        try:
            times[name] = resolve_instant(query[name], "UTC") if name in query else None
        except ValueError as error:
            wrong.append(Detail(name, str(error)))
    if wrong:
        raise invalid_request(*wrong)
    return Wanted(**texts, from_at=times["from"], to_at=times["to"])
