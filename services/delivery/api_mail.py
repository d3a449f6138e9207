"""HTTP of mail that comes back: the operator's mail server hands it in."""

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse, Response

from services.delivery import operations_mail as operations
from services.delivery.core.bounces import MESSAGE_BYTES_MAX
from services.delivery.destinations.bouncing import Bounces
from shared.errors import ApiError
from shared.http import Operator, read_body, refuse_unknown_parameters


def mail_router(bounces: Bounces, operator_token: str) -> APIRouter:
    router = APIRouter()

    @router.post("/v1/operator/mail/bounces", dependencies=[Depends(Operator(operator_token))], **operations.POST_BOUNCE)
    async def post_bounce(request: Request) -> Response:
        refuse_unknown_parameters(request, set())
        kind = request.headers.get("content-type", operations.MESSAGE).partition(";")[0].strip().lower()
        if kind != operations.MESSAGE:
            raise ApiError(415, "unsupported_media_type", f"The body must be {operations.MESSAGE}.")
        delivery_id = await bounces.take(await read_body(request, MESSAGE_BYTES_MAX))
        return JSONResponse({"delivery_id": delivery_id})

    return router
