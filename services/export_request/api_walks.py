"""The cursor API: GET /v1/export/conversations and /v1/export/messages, page by page through one snapshot."""

import json
from collections.abc import Callable
from datetime import datetime

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from services.export_request import operations_walks as operations
from services.export_request.ahead import Page
from services.export_request.core.walk import CURSOR_MAX, LIMIT_MAX, Walk
from services.export_request.walking import CONVERSATIONS, MESSAGES, Endpoint, Walks
from shared import cursors
from shared.datasets.instants import resolve_instant
from shared.errors import Detail, gone, invalid_request, unprocessable
from shared.http import Authenticator, Principal, limit_of, refuse_unknown_parameters
from shared.ratelimit import Policy, headers, rate_limited


class WalksApi:
    """`requests_per_second` 0: no limit."""

    def __init__(self, walks: Walks, secret: bytes, requests_per_second: int, clock: Callable[[], datetime]) -> None:
        self._walks, self._secret, self._clock = walks, secret, clock
        self._policy = Policy("cursor", requests_per_second, 1) if requests_per_second else None

    async def answer(self, request: Request, principal: Principal, endpoint: Endpoint) -> Response:
        limits = await self._count(principal, endpoint)
        refuse_unknown_parameters(request, {"cursor", "limit", "from", "to"})
        limit, cursor, scope = (
            limit_of(request, LIMIT_MAX, LIMIT_MAX),
            request.query_params.get("cursor"),
            f"{endpoint.name}/{principal.org_id}",
        )
        walk = None if cursor is None else Walk.at_place(cursors.unseal(self._secret, scope, cursor, CURSOR_MAX))
        from_, to = await self._range(request, principal)
        if walk is None:
            page = await self._walks.first(principal, endpoint, from_, to, limit)
        else:
            self._check(walk, request, from_, to)
            page = await self._walks.next(principal, endpoint, walk, limit)
        return Response(self._body(page, scope), media_type="application/json", headers={**limits, "Cache-Control": "no-store"})

    async def _count(self, principal: Principal, endpoint: Endpoint) -> dict[str, str]:
        """Before anything is looked at: wrong requests count too."""
        if self._policy is None:
            return {}
        taken = await self._walks.take(principal, endpoint, self._policy)
        if not taken.allowed:
            raise rate_limited(self._policy, taken, f"of '{endpoint.name}' by this API key")
        return headers(self._policy, taken)

    def _check(self, walk: Walk, request: Request, from_: datetime | None, to: datetime | None) -> None:
        """A walk's own range may be said again with each page, as many clients do."""
        asked = {"from": (from_, walk.from_), "to": (to, walk.to)}
        if other := [name for name, (given, own) in asked.items() if name in request.query_params and given != own]:
            raise unprocessable(*[Detail(name, "is another than that of the walk, which the cursor holds: leave it out") for name in other])
        if walk.has_expired(self._clock()):
            raise gone("The cursor is older than a day. Begin a new walk.")

    async def _range(self, request: Request, principal: Principal) -> tuple[datetime | None, datetime | None]:
        """[from, to) as for an export, dates and times without offset in the organisation's timezone."""
        wrong: list[Detail] = []
        given = {name: request.query_params[name] for name in ("from", "to") if name in request.query_params}
        timezone = await self._walks.timezone(principal.org_id) if given else "UTC"
        resolved: dict[str, datetime] = {}
        for name, text in given.items():
            try:
                resolved[name] = resolve_instant(text, timezone)
            except ValueError as error:
                wrong.append(Detail(name, str(error)))
        if wrong:
            raise invalid_request(*wrong)
        from_, to = resolved.get("from"), resolved.get("to")
        if from_ and to and to <= from_:
            raise unprocessable(Detail("to", "must be after from"))
        return from_, to

    def _body(self, page: Page, scope: str) -> bytes:
        following = cursors.seal(self._secret, scope, page.next.place()) if page.next else None
        end = b"true" if page.next else b"false"
        return b'{"data":[%b],"next_cursor":%b,"has_more":%b}' % (page.data, json.dumps(following).encode(), end)


def walks_router(api: WalksApi, auth: Authenticator) -> APIRouter:
    routes = APIRouter()
    admin = Depends(auth.requires("admin"))

    @routes.get("/v1/export/conversations", **operations.WALK_CONVERSATIONS)
    async def walk_conversations(request: Request, principal: Principal = admin) -> Response:
        return await api.answer(request, principal, CONVERSATIONS)

    @routes.get("/v1/export/messages", **operations.WALK_MESSAGES)
    async def walk_messages(request: Request, principal: Principal = admin) -> Response:
        return await api.answer(request, principal, MESSAGES)

    return routes
