"""HTTP of reconciliations, for the operator."""

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse, Response

from services.delivery.reconciling import operations
from services.delivery.reconciling.store import Reconciliations
from shared.checks import Check, boolean, checked
from shared.http import Operator, address_of, id_of, read_json, refuse_unknown_parameters

LISTED = 20
_FIELDS: dict[str, Check] = {"repair": lambda value: boolean("repair", value)}


def reconciliations_router(found: Reconciliations, operator_token: str) -> APIRouter:
    routes = APIRouter()
    operators = [Depends(Operator(operator_token))]

    @routes.post("/v1/operator/reconciliations", dependencies=operators, **operations.POST_RECONCILIATION)
    async def post_reconciliation(request: Request) -> Response:
        refuse_unknown_parameters(request, set())
        body = checked(await read_json(request, optional=True), _FIELDS)
        made = await found.ask(body.get("repair", False), address_of(request))
        return JSONResponse(made, 202, headers={"Location": f"/v1/operator/reconciliations/{made['id']}", "Retry-After": "1"})

    @routes.get("/v1/operator/reconciliations", dependencies=operators, **operations.LIST_RECONCILIATIONS)
    async def list_reconciliations(request: Request) -> Response:
        refuse_unknown_parameters(request, set())
        return JSONResponse({"data": await found.newest(LISTED)})

    @routes.get("/v1/operator/reconciliations/{reconciliation_id}", dependencies=operators, **operations.GET_RECONCILIATION)
    async def get_reconciliation(request: Request, reconciliation_id: str) -> Response:
        refuse_unknown_parameters(request, set())
        one = await found.one(id_of(reconciliation_id))
        return JSONResponse(one, headers={"Retry-After": "1"} if one["ended_at"] is None else {})

    return routes
