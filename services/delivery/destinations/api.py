"""The HTTP API of destinations and deliveries. What a body may hold is in core/destinations/bodies.py and its type's KIND."""

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse, Response

from services.delivery.core.destinations import bodies
from services.delivery.core.destinations.view import delivery_view, destination_view
from services.delivery.destinations import operations
from services.delivery.destinations.deliveries import Deliveries
from services.delivery.destinations.owned import Destinations
from services.delivery.destinations.store import DestinationStore
from services.delivery.destinations.trying import Probes
from shared import cursors
from shared.clock import utc_now
from shared.http import Authenticator, Principal, id_of, limit_of, read_json, read_nothing, read_object, refuse_unknown_parameters

PATH, DELIVERIES_PATH = "/v1/destinations", "/v1/deliveries"

SHOWN_ONCE = {"Cache-Control": "no-store"}


def destinations_router(
    destinations: Destinations, tests: Probes, store: DestinationStore, auth: Authenticator, secret: bytes
) -> APIRouter:
    routes = APIRouter()
    allowed = Depends(auth.requires("destinations:write"))

    @routes.post(PATH, **operations.POST_DESTINATION)
    async def post_destination(request: Request, principal: Principal = allowed) -> Response:
        refuse_unknown_parameters(request, set())
        made = await destinations.create(principal, await read_json(request))
        return JSONResponse(made, 201, headers={"Location": f"{PATH}/{made['id']}", **SHOWN_ONCE})

    @routes.get(PATH, **operations.LIST_DESTINATIONS)
    async def list_destinations(request: Request, principal: Principal = allowed) -> Response:
        refuse_unknown_parameters(request, {"limit", "cursor"})
        count, scope = limit_of(request), f"destinations/{principal.org_id}"
        rows = await store.listed(principal.org_id, _after(request, secret, scope), count + 1)
        return _page(rows, count, secret, scope, [destination_view(row) for row in rows[:count]])

    @routes.get(PATH + "/{destination_id}", **operations.GET_DESTINATION)
    async def get_destination(request: Request, destination_id: str, principal: Principal = allowed) -> Response:
        refuse_unknown_parameters(request, set())
        return JSONResponse(await destinations.show(principal.org_id, id_of(destination_id)))

    @routes.patch(PATH + "/{destination_id}", **operations.PATCH_DESTINATION)
    async def patch_destination(request: Request, destination_id: str, principal: Principal = allowed) -> Response:
        refuse_unknown_parameters(request, set())
        changed = await destinations.change(principal, id_of(destination_id), await read_object(request))
        return JSONResponse(changed, headers=SHOWN_ONCE if "made" in changed else None)

    @routes.delete(PATH + "/{destination_id}", **operations.DELETE_DESTINATION)
    async def delete_destination(request: Request, destination_id: str, principal: Principal = allowed) -> Response:
        refuse_unknown_parameters(request, set())
        await destinations.delete(principal, id_of(destination_id))
        return Response(status_code=204)

    @routes.post(PATH + "/{destination_id}/test", **operations.TEST_DESTINATION)
    async def test_destination(request: Request, destination_id: str, principal: Principal = allowed) -> Response:
        await read_nothing(request)
        return JSONResponse(await tests.run(principal, id_of(destination_id)))

    @routes.post(PATH + "/{destination_id}/pause", **operations.PAUSE_DESTINATION)
    async def pause_destination(request: Request, destination_id: str, principal: Principal = allowed) -> Response:
        await read_nothing(request)
        return JSONResponse(await destinations.pause(principal, id_of(destination_id)))

    @routes.post(PATH + "/{destination_id}/resume", **operations.RESUME_DESTINATION)
    async def resume_destination(request: Request, destination_id: str, principal: Principal = allowed) -> Response:
        await read_nothing(request)
        return JSONResponse(await destinations.resume(principal, id_of(destination_id)))

    return routes


def deliveries_router(deliveries: Deliveries, store: DestinationStore, auth: Authenticator, secret: bytes) -> APIRouter:
    routes = APIRouter()
    reader = Depends(auth.requires("exports:read"))
    sender = Depends(auth.requires("destinations:write"))

    @routes.get(DELIVERIES_PATH, **operations.LIST_DELIVERIES)
    async def list_export_deliveries(request: Request, principal: Principal = reader) -> Response:
        filters, count = _filters(request), limit_of(request)
        scope = f"deliveries/{principal.org_id}/{sorted(filters.items())}"
        rows = await store.deliveries(principal.org_id, filters, _after(request, secret, scope), count + 1)
        now = utc_now()
        return _page(rows, count, secret, scope, [delivery_view(row, now) for row in rows[:count]])

    @routes.get(DELIVERIES_PATH + "/{delivery_id}", **operations.GET_DELIVERY)
    async def get_export_delivery(request: Request, delivery_id: str, principal: Principal = reader) -> Response:
        refuse_unknown_parameters(request, set())
        return JSONResponse(await deliveries.show(principal.org_id, id_of(delivery_id)))

    @routes.post(DELIVERIES_PATH + "/{delivery_id}/redeliver", **operations.REDELIVER)
    async def redeliver_export(request: Request, delivery_id: str, principal: Principal = sender) -> Response:
        await read_nothing(request)
        return JSONResponse(await deliveries.redeliver(principal, id_of(delivery_id)), 202)

    return routes


def _filters(request: Request) -> Mapping[str, Any]:
    """`status` may be given several times. Raises ApiError 400 for what is wrong, and for unknown parameters."""
    return bodies.filters_of({name: request.query_params.getlist(name) for name in dict.fromkeys(request.query_params.keys())})


def _after(request: Request, secret: bytes, scope: str) -> Any:
    given = request.query_params.get("cursor")
    return None if given is None else cursors.open_(secret, scope, given)


def _page(rows: Any, count: int, secret: bytes, scope: str, shown: list[dict[str, Any]]) -> Response:
    more = len(rows) > count
    following = cursors.sign(secret, scope, rows[count - 1]["created_at"], rows[count - 1]["id"]) if more else None
    return JSONResponse({"data": shown, "next_cursor": following, "has_more": more})
