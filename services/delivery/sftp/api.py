"""The HTTP API of SFTP users and the server's keys. What a body may hold is in core/sftp/bodies.py, what happens in users.py."""

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse, Response

from services.delivery.sftp import operations
from services.delivery.sftp.host_keys import HostKeys
from services.delivery.sftp.users import Users
from shared.http import NOT_STORED, Authenticator, Operator, Principal, address_of, id_of, read_nothing, refuse_unknown_parameters
from shared.owned import add_owned

ONE, KEYS_PATH = "/v1/sftp-users/{user_id}", "/v1/sftp-host-keys"


def sftp_router(users: Users, host_keys: HostKeys, auth: Authenticator, secret: bytes, operator_token: str) -> APIRouter:
    routes = APIRouter()
    allowed = Depends(auth.requires("sftp:write"))
    add_owned(
        routes, ONE, users, allowed, secret, post_sftp_user=operations.POST_USER, list_sftp_users=operations.LIST_USERS,
        get_sftp_user=operations.GET_USER, patch_sftp_user=operations.PATCH_USER, delete_sftp_user=operations.DELETE_USER,
    )  # fmt: skip

    @routes.post(ONE + "/reset-password", **operations.RESET_PASSWORD)
    async def reset_sftp_password(request: Request, user_id: str, principal: Principal = allowed) -> Response:
        await read_nothing(request)
        return JSONResponse(await users.reset_password(principal, id_of(user_id)), headers=NOT_STORED)

    _add_host_keys(routes, host_keys, operator_token)
    return routes


def _add_host_keys(routes: APIRouter, host_keys: HostKeys, operator_token: str) -> None:
    operator = Depends(Operator(operator_token))

    @routes.get(KEYS_PATH, **operations.LIST_HOST_KEYS)
    async def list_sftp_host_keys(request: Request) -> Response:
        refuse_unknown_parameters(request, set())
        return JSONResponse({"data": await host_keys.show()})

    @routes.post(KEYS_PATH + "/rotate", dependencies=[operator], **operations.ROTATE_HOST_KEYS)
    async def rotate_sftp_host_keys(request: Request) -> Response:
        await read_nothing(request)
        return JSONResponse({"data": await host_keys.rotate(address_of(request))}, 201)
