"""The HTTP API of SFTP users and the server's keys. What a body may hold is in core/sftp/bodies.py, what happens in users.py."""

from typing import Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse, Response

from services.delivery.core.sftp.view import user_view
from services.delivery.sftp import operations
from services.delivery.sftp.host_keys import HostKeys
from services.delivery.sftp.store import SftpStore
from services.delivery.sftp.users import Users
from shared import cursors
from shared.http import Authenticator, Operator, Principal, address_of, id_of, limit_of, read_json, read_nothing, refuse_unknown_parameters

PATH, KEYS_PATH = "/v1/sftp-users", "/v1/sftp-host-keys"
SHOWN_ONCE = {"Cache-Control": "no-store"}


def sftp_router(users: Users, store: SftpStore, host_keys: HostKeys, auth: Authenticator, secret: bytes, operator_token: str) -> APIRouter:
    routes = APIRouter()
    allowed = Depends(auth.requires("sftp:write"))

    @routes.post(PATH, **operations.POST_USER)
    async def post_sftp_user(request: Request, principal: Principal = allowed) -> Response:
        refuse_unknown_parameters(request, set())
        made = await users.create(principal, await read_json(request))
        return JSONResponse(made, 201, headers={"Location": f"{PATH}/{made['id']}", **SHOWN_ONCE})

    @routes.get(PATH, **operations.LIST_USERS)
    async def list_sftp_users(request: Request, principal: Principal = allowed) -> Response:
        refuse_unknown_parameters(request, {"limit", "cursor"})
        count, scope = limit_of(request), f"sftp-users/{principal.org_id}"
        rows = await store.users(principal.org_id, _after(request, secret, scope), count + 1)
        more = len(rows) > count
        following = cursors.sign(secret, scope, rows[count - 1]["created_at"], rows[count - 1]["id"]) if more else None
        return JSONResponse({"data": [user_view(row) for row in rows[:count]], "next_cursor": following, "has_more": more})

    @routes.get(PATH + "/{user_id}", **operations.GET_USER)
    async def get_sftp_user(request: Request, user_id: str, principal: Principal = allowed) -> Response:
        refuse_unknown_parameters(request, set())
        return JSONResponse(await users.show(principal.org_id, id_of(user_id)))

    @routes.patch(PATH + "/{user_id}", **operations.PATCH_USER)
    async def patch_sftp_user(request: Request, user_id: str, principal: Principal = allowed) -> Response:
        refuse_unknown_parameters(request, set())
        return JSONResponse(await users.change(principal, id_of(user_id), await read_json(request)))

    @routes.post(PATH + "/{user_id}/reset-password", **operations.RESET_PASSWORD)
    async def reset_sftp_password(request: Request, user_id: str, principal: Principal = allowed) -> Response:
        await read_nothing(request)
        return JSONResponse(await users.reset_password(principal, id_of(user_id)), headers=SHOWN_ONCE)

    @routes.delete(PATH + "/{user_id}", **operations.DELETE_USER)
    async def delete_sftp_user(request: Request, user_id: str, principal: Principal = allowed) -> Response:
        refuse_unknown_parameters(request, set())
        await users.delete(principal, id_of(user_id))
        return Response(status_code=204)

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


def _after(request: Request, secret: bytes, scope: str) -> Any:
    given = request.query_params.get("cursor")
    return None if given is None else cursors.open_(secret, scope, given)
