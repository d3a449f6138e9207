"""The HTTP API of notifications, and trying the alert channels."""

import asyncio
from collections.abc import Callable
from datetime import datetime

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse, Response

from services.delivery.core.notifications.alerts import Alert, channels_of
from services.delivery.core.notifications.notices import Kind
from services.delivery.notifications import operations
from services.delivery.notifications.channels import Channels
from services.delivery.notifications.store import Feed, Wanted
from shared.http import Authenticator, Principal, read_nothing
from shared.ids import new_id
from shared.paging import page_of
from shared.parameters import Parameters

PATH = "/v1/notifications"
TEST_PATH = "/v1/settings/alert-channels/test"
TEST = "This is a test: alerts of this organisation come here."


def notifications_router(feed: Feed, channels: Channels, auth: Authenticator, secret: bytes, clock: Callable[[], datetime]) -> APIRouter:
    routes = APIRouter()
    reads, writes = Depends(auth.requires("exports:read")), Depends(auth.requires("settings:write"))

    @routes.get(PATH, **operations.LIST_NOTIFICATIONS)
    async def list_notifications(request: Request, principal: Principal = reads) -> Response:
        wanted = _wanted(request)
        page = page_of(request, secret, f"notifications/{principal.org_id}/{wanted}")
        return page.answer(*await feed.page(principal.org_id, wanted, page.behind, page.sought))

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
    given = Parameters(request, ("created_after", "created_before"), ("kind",))
    wanted = Wanted(given.some_of("kind", Kind), given.instant("created_after"), given.instant("created_before"))
    given.require_right()
    return wanted
