"""HTTP of the signing keys: the public ones for everybody, rotating and revoking for the operator."""

from typing import Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse, Response

from services.delivery import operations
from services.delivery.keyring import Keyring
from shared.http import Operator, address_of, read_nothing, refuse_unknown_parameters
from shared.signing import KEYS_PATH, PublicKey, to_jwks

CACHE_SECONDS = 300


def keys_router(keyring: Keyring, operator_token: str) -> APIRouter:
    router = APIRouter()
    operators = [Depends(Operator(operator_token))]

    @router.api_route(KEYS_PATH, methods=["GET", "HEAD"], **operations.LIST_PUBLIC_KEYS)
    async def list_public_keys(request: Request) -> Response:
        refuse_unknown_parameters(request, set())
        headers = {"Cache-Control": f"public, max-age={CACHE_SECONDS}", "Access-Control-Allow-Origin": "*"}
        return JSONResponse(to_jwks(await keyring.public()), headers=headers)

    @router.get("/v1/signing-keys", dependencies=operators, **operations.LIST_SIGNING_KEYS)
    async def list_signing_keys(request: Request) -> Response:
        refuse_unknown_parameters(request, set())
        return JSONResponse({"data": [_view(key) for key in await keyring.public()]})

    @router.post("/v1/signing-keys/rotate", dependencies=operators, **operations.ROTATE_SIGNING_KEY)
    async def rotate_signing_key(request: Request) -> Response:
        await read_nothing(request)
        made, retired = await keyring.rotate(address_of(request))
        return JSONResponse({"id": made, "retired": retired}, 201)

    @router.post("/v1/signing-keys/{key_id}/revoke", dependencies=operators, **operations.REVOKE_SIGNING_KEY)
    async def revoke_signing_key(request: Request, key_id: str) -> Response:
        await read_nothing(request)
        await keyring.revoke(key_id if "\x00" not in key_id else "", address_of(request))
        return Response(status_code=204)

    return router


def _view(key: PublicKey) -> dict[str, Any]:
    status = "revoked" if key.revoked_at else "retired" if key.retired_at else "current"
    return {"id": key.id, "status": status, "created_at": key.created_at, "retired_at": key.retired_at, "revoked_at": key.revoked_at}
