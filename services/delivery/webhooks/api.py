"""The HTTP API of webhook endpoints. What a body may hold is in core/webhooks/bodies.py, what happens in endpoints.py."""

from typing import Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse, Response

from services.delivery.core.webhooks import bodies
from services.delivery.core.webhooks.view import delivery_view, endpoint_view
from services.delivery.webhooks import operations
from services.delivery.webhooks.endpoints import Endpoints
from services.delivery.webhooks.store import WebhookStore
from shared import cursors
from shared.clock import utc_now
from shared.errors import Detail, invalid_request
from shared.http import Authenticator, Principal, id_of, limit_of, read_json, refuse_unknown_parameters

PATH = "/v1/webhook-endpoints"
SHOWN_ONCE = {"Cache-Control": "no-store"}


def webhooks_router(endpoints: Endpoints, store: WebhookStore, auth: Authenticator, secret: bytes) -> APIRouter:
    routes, allowed = APIRouter(), Depends(auth.requires("webhooks:write"))
    _add_endpoints(routes, endpoints, store, allowed, secret)
    _add_uses(routes, endpoints, allowed)
    _add_deliveries(routes, endpoints, store, allowed, secret)
    return routes


def _add_endpoints(routes: APIRouter, endpoints: Endpoints, store: WebhookStore, allowed: Any, secret: bytes) -> None:
    @routes.post(PATH, **operations.POST_ENDPOINT)
    async def post_endpoint(request: Request, principal: Principal = allowed) -> Response:
        refuse_unknown_parameters(request, set())
        made = await endpoints.create(principal, await read_json(request))
        return JSONResponse(made, 201, headers={"Location": f"{PATH}/{made['id']}", **SHOWN_ONCE})

    @routes.get(PATH, **operations.LIST_ENDPOINTS)
    async def list_endpoints(request: Request, principal: Principal = allowed) -> Response:
        refuse_unknown_parameters(request, {"limit", "cursor"})
        count, scope = limit_of(request), f"webhook-endpoints/{principal.org_id}"
        rows = await store.endpoints(principal.org_id, _after(request, secret, scope), count + 1)
        return _page(rows, count, secret, scope, [endpoint_view(row, utc_now()) for row in rows[:count]])

    @routes.get(PATH + "/{endpoint_id}", **operations.GET_ENDPOINT)
    async def get_endpoint(request: Request, endpoint_id: str, principal: Principal = allowed) -> Response:
        refuse_unknown_parameters(request, set())
        return JSONResponse(await endpoints.show(principal.org_id, id_of(endpoint_id)))

    @routes.patch(PATH + "/{endpoint_id}", **operations.PATCH_ENDPOINT)
    async def patch_endpoint(request: Request, endpoint_id: str, principal: Principal = allowed) -> Response:
        refuse_unknown_parameters(request, set())
        return JSONResponse(await endpoints.change(principal, id_of(endpoint_id), await read_json(request)))

    @routes.delete(PATH + "/{endpoint_id}", **operations.DELETE_ENDPOINT)
    async def delete_endpoint(request: Request, endpoint_id: str, principal: Principal = allowed) -> Response:
        refuse_unknown_parameters(request, set())
        await endpoints.delete(principal, id_of(endpoint_id))
        return Response(status_code=204)


def _add_uses(routes: APIRouter, endpoints: Endpoints, allowed: Any) -> None:
    """What is done with an endpoint."""

    @routes.post(PATH + "/{endpoint_id}/rotate-secret", **operations.ROTATE_SECRET)
    async def rotate_secret(request: Request, endpoint_id: str, principal: Principal = allowed) -> Response:
        refuse_unknown_parameters(request, set())
        made = await endpoints.rotate(principal, id_of(endpoint_id), await read_json(request, optional=True))
        return JSONResponse(made, headers=SHOWN_ONCE)

    @routes.post(PATH + "/{endpoint_id}/test", **operations.TEST_ENDPOINT)
    async def test_endpoint(request: Request, endpoint_id: str, principal: Principal = allowed) -> Response:
        refuse_unknown_parameters(request, set())
        bodies.empty_body(await read_json(request, optional=True))
        return JSONResponse(await endpoints.test(principal, id_of(endpoint_id)))

    @routes.post(PATH + "/{endpoint_id}/recover", **operations.RECOVER)
    async def recover(request: Request, endpoint_id: str, principal: Principal = allowed) -> Response:
        refuse_unknown_parameters(request, set())
        return JSONResponse(await endpoints.recover(principal, id_of(endpoint_id), await read_json(request)), 202)


def _add_deliveries(routes: APIRouter, endpoints: Endpoints, store: WebhookStore, allowed: Any, secret: bytes) -> None:
    @routes.get(PATH + "/{endpoint_id}/deliveries", **operations.LIST_DELIVERIES)
    async def list_deliveries(request: Request, endpoint_id: str, principal: Principal = allowed) -> Response:
        statuses, count = _statuses(request), limit_of(request)
        await endpoints.show(principal.org_id, id_of(endpoint_id))
        scope = f"webhook-deliveries/{principal.org_id}/{endpoint_id}/{statuses}"
        before = _after(request, secret, scope)
        rows = await store.deliveries(principal.org_id, id_of(endpoint_id), statuses, before, count + 1)
        return _page(rows, count, secret, scope, [delivery_view(row) for row in rows[:count]])

    @routes.post(PATH + "/{endpoint_id}/deliveries/{delivery_id}/redeliver", **operations.REDELIVER)
    async def redeliver(request: Request, endpoint_id: str, delivery_id: str, principal: Principal = allowed) -> Response:
        refuse_unknown_parameters(request, set())
        bodies.empty_body(await read_json(request, optional=True))
        return JSONResponse(await endpoints.redeliver(principal, id_of(endpoint_id), id_of(delivery_id)), 202)


def _after(request: Request, secret: bytes, scope: str) -> Any:
    given = request.query_params.get("cursor")
    return None if given is None else cursors.open_(secret, scope, given)


def _page(rows: list[Any], count: int, secret: bytes, scope: str, shown: list[dict[str, Any]]) -> Response:
    more = len(rows) > count
    following = cursors.sign(secret, scope, rows[count - 1]["created_at"], rows[count - 1]["id"]) if more else None
    return JSONResponse({"data": shown, "next_cursor": following, "has_more": more})


def _statuses(request: Request) -> list[str]:
    """The filter, which may be repeated. Raises ApiError 400 for it and for unknown parameters."""
    names = [name for name, _ in request.query_params.multi_items()]
    wrong = [Detail(n[:80], "unknown query parameter") for n in dict.fromkeys(names) if n not in ("status", "limit", "cursor")]
    wrong += [Detail(n, "given more than once") for n in ("limit", "cursor") if names.count(n) > 1]
    if wrong:
        raise invalid_request(*wrong)
    return bodies.statuses(request.query_params.getlist("status"))
