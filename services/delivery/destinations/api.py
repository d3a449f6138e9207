"""The HTTP API of destinations and deliveries. What a body may hold is in core/destinations/bodies.py and its type's KIND."""

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse, Response

from services.delivery.core.destinations.life import Status
from services.delivery.core.destinations.view import delivery_view
from services.delivery.destinations import operations
from services.delivery.destinations.deliveries import Deliveries
from services.delivery.destinations.owned import Destinations
from services.delivery.destinations.store import DestinationStore
from services.delivery.destinations.trying import Probes
from shared.clock import utc_now
from shared.http import Authenticator, Principal, id_of, read_nothing, refuse_unknown_parameters
from shared.owned import add_owned
from shared.paging import page_of
from shared.parameters import Parameters

ONE, DELIVERIES_PATH = "/v1/destinations/{destination_id}", "/v1/deliveries"
_DELIVERIES_BY = ("export_id", "destination_id", "schedule_id")


def destinations_router(destinations: Destinations, tests: Probes, auth: Authenticator, secret: bytes) -> APIRouter:
    routes = APIRouter()
    allowed = Depends(auth.requires("destinations:write"))
    add_owned(
        routes, ONE, destinations, allowed, secret, post_destination=operations.POST_DESTINATION, list_destinations=operations.LIST_DESTINATIONS,
        get_destination=operations.GET_DESTINATION, patch_destination=operations.PATCH_DESTINATION, delete_destination=operations.DELETE_DESTINATION,
    )  # fmt: skip

    @routes.post(ONE + "/test", **operations.TEST_DESTINATION)
    async def test_destination(request: Request, destination_id: str, principal: Principal = allowed) -> Response:
        await read_nothing(request)
        return JSONResponse(await tests.run(principal, id_of(destination_id)))

    @routes.post(ONE + "/pause", **operations.PAUSE_DESTINATION)
    async def pause_destination(request: Request, destination_id: str, principal: Principal = allowed) -> Response:
        await read_nothing(request)
        return JSONResponse(await destinations.pause(principal, id_of(destination_id)))

    @routes.post(ONE + "/resume", **operations.RESUME_DESTINATION)
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
        wanted = _wanted(request)
        page = page_of(request, secret, f"deliveries/{principal.org_id}/{sorted(wanted.items())}")
        rows, now = await store.deliveries(principal.org_id, wanted, page.behind, page.sought), utc_now()
        return page.answer(rows, (delivery_view(row, now) for row in rows))

    @routes.get(DELIVERIES_PATH + "/{delivery_id}", **operations.GET_DELIVERY)
    async def get_export_delivery(request: Request, delivery_id: str, principal: Principal = reader) -> Response:
        refuse_unknown_parameters(request, set())
        return JSONResponse(await deliveries.show(principal.org_id, id_of(delivery_id)))

    @routes.post(DELIVERIES_PATH + "/{delivery_id}/redeliver", **operations.REDELIVER)
    async def redeliver_export(request: Request, delivery_id: str, principal: Principal = sender) -> Response:
        await read_nothing(request)
        return JSONResponse(await deliveries.redeliver(principal, id_of(delivery_id)), 202)

    return routes


def _wanted(request: Request) -> Mapping[str, Any]:
    """The list's filters. Raises ApiError 400 naming every wrong one."""
    given = Parameters(request, _DELIVERIES_BY, ("status",))
    statuses = given.some_of("status", Status)
    ids = {name: given.id(name) for name in _DELIVERIES_BY}
    given.require_right()
    return {**ids, "statuses": list(statuses) or None}
