"""The HTTP API of what an organisation's administrators decide about exports: whether they run, and whether they are held."""

from collections.abc import Callable
from datetime import datetime

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from services.export_request import operations
from services.export_request.answering import Answers
from services.export_request.core.life import Approved, Rejected
from services.export_request.store import Exports
from shared.audit import PURPOSE_MAX
from shared.checks import Check, checked, line
from shared.http import Authenticator, Principal, id_of, read_json, read_nothing, refuse_unknown_parameters

ONE = "/v1/exports/{export_id}"
_REASON: dict[str, Check] = {"reason": lambda value: line("reason", value, PURPOSE_MAX)}


def decisions_router(exports: Exports, auth: Authenticator, clock: Callable[[], datetime]) -> APIRouter:
    routes, answers = APIRouter(), Answers(exports, clock)
    admins = Depends(auth.requires("admin"))

    @routes.post(ONE + "/approve", **operations.APPROVE_EXPORT)
    async def approve_export(request: Request, export_id: str, principal: Principal = admins) -> Response:
        await read_nothing(request)
        return await answers.shown(await exports.decide(principal, id_of(export_id), Approved()))

    @routes.post(ONE + "/reject", **operations.REJECT_EXPORT)
    async def reject_export(request: Request, export_id: str, principal: Principal = admins) -> Response:
        refuse_unknown_parameters(request, set())
        reason = checked(await read_json(request, optional=True), _REASON).get("reason", "")
        return await answers.shown(await exports.decide(principal, id_of(export_id), Rejected(reason)))

    @routes.put(ONE + "/hold", **operations.HOLD_EXPORT)
    async def hold_export(request: Request, export_id: str, principal: Principal = admins) -> Response:
        refuse_unknown_parameters(request, set())
        reason = checked(await read_json(request), _REASON, required=("reason",))["reason"]
        return await answers.shown(await exports.hold(principal, id_of(export_id), reason))

    @routes.delete(ONE + "/hold", **operations.RELEASE_EXPORT)
    async def release_export(request: Request, export_id: str, principal: Principal = admins) -> Response:
        refuse_unknown_parameters(request, set())
        return await answers.shown(await exports.hold(principal, id_of(export_id), None))

    return routes
