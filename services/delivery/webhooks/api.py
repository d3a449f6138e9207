"""The HTTP API of webhook endpoints. What a body may hold is in core/webhooks/bodies.py, what happens in endpoints.py."""

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse, Response

from services.delivery.core.webhooks.life import Status
from services.delivery.core.webhooks.view import delivery_view
from services.delivery.webhooks import operations
from services.delivery.webhooks.endpoints import Endpoints
from services.delivery.webhooks.store import WebhookStore
from shared.http import NOT_STORED, Authenticator, Principal, id_of, read_json, read_nothing, refuse_unknown_parameters
from shared.owned import add_owned
from shared.paging import page_of
from shared.parameters import Parameters

ONE = "/v1/webhook-endpoints/{endpoint_id}"


def webhooks_router(endpoints: Endpoints, store: WebhookStore, auth: Authenticator, secret: bytes) -> APIRouter:
    routes = APIRouter()
    allowed = Depends(auth.requires("webhooks:write"))
    add_owned(
        routes, ONE, endpoints, allowed, secret, post_endpoint=operations.POST_ENDPOINT, list_endpoints=operations.LIST_ENDPOINTS,
        get_endpoint=operations.GET_ENDPOINT, patch_endpoint=operations.PATCH_ENDPOINT, delete_endpoint=operations.DELETE_ENDPOINT,
    )  # fmt: skip

    @routes.post(ONE + "/rotate-secret", **operations.ROTATE_SECRET)
    async def rotate_secret(request: Request, endpoint_id: str, principal: Principal = allowed) -> Response:
        refuse_unknown_parameters(request, set())
        made = await endpoints.rotate(principal, id_of(endpoint_id), await read_json(request, optional=True))
        return JSONResponse(made, headers=NOT_STORED)

    @routes.post(ONE + "/test", **operations.TEST_ENDPOINT)
    async def test_endpoint(request: Request, endpoint_id: str, principal: Principal = allowed) -> Response:
        await read_nothing(request)
        return JSONResponse(await endpoints.test(principal, id_of(endpoint_id)))

    @routes.post(ONE + "/recover", **operations.RECOVER)
    async def recover(request: Request, endpoint_id: str, principal: Principal = allowed) -> Response:
        refuse_unknown_parameters(request, set())
        return JSONResponse(await endpoints.recover(principal, id_of(endpoint_id), await read_json(request)), 202)

    @routes.get(ONE + "/deliveries", **operations.LIST_DELIVERIES)
    async def list_deliveries(request: Request, endpoint_id: str, principal: Principal = allowed) -> Response:
        given = Parameters(request, repeated=("status",))
        statuses = list(given.some_of("status", Status))
        given.require_right()
        await endpoints.show(principal.org_id, id_of(endpoint_id))
        page = page_of(request, secret, f"webhook-deliveries/{principal.org_id}/{endpoint_id}/{statuses}")
        rows = await store.deliveries(principal.org_id, id_of(endpoint_id), statuses, page.behind, page.sought)
        return page.answer(rows, map(delivery_view, rows))

    @routes.post(ONE + "/deliveries/{delivery_id}/redeliver", **operations.REDELIVER)
    async def redeliver(request: Request, endpoint_id: str, delivery_id: str, principal: Principal = allowed) -> Response:
        await read_nothing(request)
        return JSONResponse(await endpoints.redeliver(principal, id_of(endpoint_id), id_of(delivery_id)), 202)

    return routes
