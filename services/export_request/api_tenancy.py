"""The HTTP API: settings and API keys of an organisation; organisations, which are the operator's."""

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse, Response

from services.export_request import operations_tenancy as operations
from services.export_request.core import limits, settings
from services.export_request.core import tenancy as checks
from services.export_request.tenancy import Tenancy, key_view, organisation_view, settings_etag
from shared.checks import Check, checked
from shared.errors import invalid_request
from shared.etags import if_match_of
from shared.formatting.typesetting import can_draw
from shared.http import NOT_STORED, Authenticator, Operator, Principal, address_of, id_of, read_json, refuse_unknown_parameters
from shared.paging import PAGED, page_of

_KEY: dict[str, Check] = {"name": checks.name, "scopes": checks.scopes, "expires_in_seconds": checks.expires_in_seconds}
_CHANGES: dict[str, Check] = {"name": checks.name, "limits": limits.limits}
_ORGANISATION: dict[str, Check] = {"org_id": checks.org_id, "name": checks.name, "timezone": checks.timezone}


def settings_router(tenancy: Tenancy, auth: Authenticator) -> APIRouter:
    routes = APIRouter()
    reads, writes = Depends(auth.requires()), Depends(auth.requires("settings:write"))

    @routes.get("/v1/settings", **operations.GET_SETTINGS)
    async def get_settings(request: Request, principal: Principal = reads) -> Response:
        refuse_unknown_parameters(request, set())
        view = await tenancy.settings(principal.org_id)
        may_change = {"settings:write", "admin"} & principal.scopes
        return _settings(view, view if may_change else settings.without_secrets(view))

    @routes.patch("/v1/settings", **operations.PATCH_SETTINGS)
    async def patch_settings(request: Request, principal: Principal = writes) -> Response:
        refuse_unknown_parameters(request, set())
        changes = checked(await read_json(request), settings.CHECKS)
        await _refuse_undrawable(changes)
        return _settings(await tenancy.change_settings(principal, changes, if_match_of(request)))

    return routes


async def _refuse_undrawable(changes: Mapping[str, Any]) -> None:
    """A logo is drawn once before it is kept: a picture can be whole and its tables nonsense. Raises ApiError 400, TransientError where nobody can say."""
    logo = (changes.get("branding") or {}).get("logo")
    if logo is not None and not await asyncio.to_thread(can_draw, logo):
        raise invalid_request(settings.LOGO_UNREADABLE)


def _settings(view: dict[str, Any], shown: dict[str, Any] | None = None) -> Response:
    return JSONResponse(view if shown is None else shown, headers={"ETag": settings_etag(view)})


def usage_router(tenancy: Tenancy, auth: Authenticator, clock: Callable[[], datetime]) -> APIRouter:
    routes = APIRouter()

    @routes.get("/v1/usage", **operations.GET_USAGE)
    async def get_usage(request: Request, principal: Principal = Depends(auth.requires())) -> Response:  # noqa: B008
        refuse_unknown_parameters(request, set())
        return JSONResponse(await tenancy.usage(principal.org_id, clock()))

    return routes


def keys_router(tenancy: Tenancy, auth: Authenticator, secret: bytes, overlap_seconds: int) -> APIRouter:
    routes = APIRouter()
    admin = Depends(auth.requires("admin"))

    @routes.post("/v1/api-keys", **operations.POST_KEY)
    async def post_key(request: Request, principal: Principal = admin) -> Response:
        refuse_unknown_parameters(request, set())
        body = checked(await read_json(request), _KEY, ("name", "scopes"))
        made = await tenancy.add_key(principal, body["name"], body["scopes"], body.get("expires_in_seconds"))
        return JSONResponse(made, 201, headers={"Location": f"/v1/api-keys/{made['id']}", **NOT_STORED})

    @routes.get("/v1/api-keys", **operations.LIST_KEYS)
    async def list_keys(request: Request, principal: Principal = admin) -> Response:
        refuse_unknown_parameters(request, set(PAGED))
        page = page_of(request, secret, f"api-keys/{principal.org_id}")
        rows = await tenancy.keys(principal.org_id, page.behind, page.sought)
        return page.answer(rows, map(key_view, rows))

    @routes.delete("/v1/api-keys/{key_id}", **operations.DELETE_KEY)
    async def delete_key(request: Request, key_id: str, principal: Principal = admin) -> Response:
        refuse_unknown_parameters(request, set())
        await tenancy.revoke_key(principal, id_of(key_id))
        return Response(status_code=204)

    @routes.post("/v1/api-keys/{key_id}/rotate", **operations.ROTATE_KEY)
    async def rotate_key(request: Request, key_id: str, principal: Principal = admin) -> Response:
        refuse_unknown_parameters(request, set())
        made = await tenancy.rotate_key(principal, id_of(key_id), overlap_seconds)
        return JSONResponse(made, 201, headers={"Location": f"/v1/api-keys/{made['id']}", **NOT_STORED})

    return routes


def organisations_router(tenancy: Tenancy, operator_token: str, secret: bytes) -> APIRouter:
    """Not there at all where no operator token is configured."""
    routes = APIRouter()
    operators = [Depends(Operator(operator_token))]

    @routes.post("/v1/organisations", dependencies=operators, **operations.POST_ORGANISATION)
    async def post_organisation(request: Request) -> Response:
        refuse_unknown_parameters(request, set())
        body: dict[str, Any] = checked(await read_json(request), _ORGANISATION, ("org_id", "name"))
        made = await tenancy.create(body["org_id"], body["name"], body.get("timezone", "UTC"), address_of(request))
        return JSONResponse(made, 201, headers=NOT_STORED)

    @routes.patch("/v1/organisations/{org_id}", dependencies=operators, **operations.PATCH_ORGANISATION)
    async def patch_organisation(request: Request, org_id: str) -> Response:
        refuse_unknown_parameters(request, set())
        body = checked(await read_json(request), _CHANGES)
        changes = {name: value for name, value in body.items() if name != "limits"} | body.get("limits", {})
        return JSONResponse(organisation_view(await tenancy.change_organisation(id_of(org_id), changes, address_of(request))))

    @routes.get("/v1/organisations", dependencies=operators, **operations.LIST_ORGANISATIONS)
    async def list_organisations(request: Request) -> Response:
        refuse_unknown_parameters(request, set(PAGED))
        page = page_of(request, secret, "organisations")
        rows = await tenancy.organisations(page.behind[1] if page.behind else None, page.sought)
        return page.answer(rows, map(organisation_view, rows), lambda row: (row["created_at"], row["org_id"]))

    return routes
