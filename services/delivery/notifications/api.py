"""The HTTP API of notifications, and trying the alert channels."""

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse, Response

from services.delivery.core.notifications.alerts import Alert, channels_of
from services.delivery.core.notifications.notices import Kind
from services.delivery.notifications import operations
from services.delivery.notifications.channels import Channels
from services.delivery.notifications.store import Feed, Wanted
from shared import cursors
from shared.datasets.instants import resolve_instant
from shared.errors import Detail, invalid_request
from shared.http import Authenticator, Principal, limit_of, read_nothing
from shared.ids import new_id

PATH = "/v1/notifications"
TEST_PATH = "/v1/settings/alert-channels/test"
TEST = "This is a test: alerts of this organisation come here."
_SINGLE = ("limit", "cursor", "created_after", "created_before")


def notifications_router(feed: Feed, channels: Channels, auth: Authenticator, secret: bytes, clock: Callable[[], datetime]) -> APIRouter:
    routes = APIRouter()
    reads, writes = Depends(auth.requires("exports:read")), Depends(auth.requires("settings:write"))

    @routes.get(PATH, **operations.LIST_NOTIFICATIONS)
    async def list_notifications(request: Request, principal: Principal = reads) -> Response:
        wanted, count = _wanted(request), limit_of(request)
        scope = f"notifications/{principal.org_id}/{wanted}"
        before = cursors.open_(secret, scope, c) if (c := request.query_params.get("cursor")) is not None else None
        rows, views = await feed.page(principal.org_id, wanted, before, count + 1)
        more = len(rows) > count
        following = cursors.sign(secret, scope, rows[count - 1]["created_at"], rows[count - 1]["id"]) if more else None
        return JSONResponse({"data": views[:count], "next_cursor": following, "has_more": more})

    @routes.post(TEST_PATH, **operations.TEST_ALERT_CHANNELS)
    async def test_alert_channels(request: Request, principal: Principal = writes) -> Response:
        await read_nothing(request)
        row = await feed.channels(principal.org_id)
        alert = Alert(new_id("alt"), "test", TEST, {}, clock(), row["name"])
        found = channels_of(row["alert_channels"])
        outcomes = await asyncio.gather(*(channels.tell(each, alert) for each in found))
        shown = [
            {"type": channel.type, "delivered": outcome.code is None, "error": {"code": outcome.code, "message": outcome.message} if outcome.code else None}
            for channel, outcome in zip(found, outcomes, strict=True)
        ]  # fmt: skip
        return JSONResponse({"channels": shown})

    return routes


def _wanted(request: Request) -> Wanted:
    """The list's filters. Raises ApiError 400 naming every wrong one."""
    query, names = request.query_params, [name for name, _ in request.query_params.multi_items()]
    wrong = [Detail(n[:80], "unknown query parameter") for n in dict.fromkeys(names) if n not in ("kind", *_SINGLE)]
    wrong += [Detail(n, "given more than once") for n in _SINGLE if names.count(n) > 1]
    kinds = tuple(sorted(set(query.getlist("kind"))))
    wrong += [Detail("kind", f"'{k[:80]}' is not a kind; there are {', '.join(Kind)}") for k in kinds if k not in list(Kind)]
    after, before = (_instant(query.get(name), name, wrong) for name in ("created_after", "created_before"))
    if wrong:
        raise invalid_request(*wrong)
    return Wanted(kinds, after, before)


def _instant(text: str | None, field: str, wrong: list[Detail]) -> Any:
    """A date (midnight UTC) or a time."""
    try:
        return None if text is None else resolve_instant(text, "UTC")
    except ValueError as error:
        wrong.append(Detail(field, str(error)))
        return None
