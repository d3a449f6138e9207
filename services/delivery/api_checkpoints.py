"""HTTP of the audit trail's checkpoints: an organisation's for who may read its trail, the operator's own for the operator."""

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from services.delivery import operations
from services.delivery.checkpoints import Checkpoints
from shared.audit_chain import OPERATOR
from shared.http import Authenticator, Operator, Principal, refuse_unknown_parameters
from shared.paging import PAGED, page_of


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
    refuse_unknown_parameters(request, set(PAGED))
    page = page_of(request, secret, f"audit-checkpoints/{org_id}")
    found = await checkpoints.page(org_id, int(page.behind[1]) if page.behind else None, page.sought)
    following = page.following(found, lambda each: (each[1], str(each[0])))
    cursor, more = ("null", "false") if following is None else (f'"{following}"', "true")
    body = f'{{"data":[{",".join(text for *_, text in found[: page.count])}],"next_cursor":{cursor},"has_more":{more}}}'
    return Response(body.encode(), media_type="application/json")
