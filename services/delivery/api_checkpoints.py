"""HTTP of the audit trail's checkpoints: an organisation's for who may read its trail, the operator's own for the operator."""

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from services.delivery import operations
from services.delivery.checkpoints import Checkpoints
from shared import cursors
from shared.audit_chain import OPERATOR
from shared.http import Authenticator, Operator, Principal, limit_of, refuse_unknown_parameters


def checkpoints_router(checkpoints: Checkpoints, auth: Authenticator, secret: bytes, operator_token: str) -> APIRouter:
    routes = APIRouter()
    reader, operators = Depends(auth.requires("audit:read")), [Depends(Operator(operator_token))]

    @routes.get("/v1/audit/checkpoints", **operations.LIST_CHECKPOINTS)
    async def list_checkpoints(request: Request, principal: Principal = reader) -> Response:
        return await _page(checkpoints, secret, principal.org_id, request)

    @routes.get("/v1/operator/audit/checkpoints", **operations.LIST_OPERATORS_CHECKPOINTS, dependencies=operators)
    async def list_operators_checkpoints(request: Request) -> Response:
        return await _page(checkpoints, secret, OPERATOR, request)

    return routes


async def _page(checkpoints: Checkpoints, secret: bytes, org_id: str, request: Request) -> Response:
    refuse_unknown_parameters(request, {"limit", "cursor"})
    count, scope = limit_of(request), f"audit-checkpoints/{org_id}"
    before = int(cursors.open_(secret, scope, c)[1]) if (c := request.query_params.get("cursor")) is not None else None
    found = await checkpoints.page(org_id, before, count + 1)
    more, found = len(found) > count, found[:count]
    following = f'"{cursors.sign(secret, scope, found[-1][1], str(found[-1][0]))}"' if more else "null"
    body = f'{{"data":[{",".join(text for *_, text in found)}],"next_cursor":{following},"has_more":{"true" if more else "false"}}}'
    return Response(body.encode(), media_type="application/json")
