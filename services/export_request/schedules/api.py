"""The HTTP API of schedules. What a body may hold is in core/schedules.py, what happens in schedules.py."""

from typing import Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse, Response

from services.export_request.core.schedules import RunStatus
from services.export_request.schedules import operations
from services.export_request.schedules.schedules import Schedules
from shared import cursors
from shared.errors import Detail, invalid_request
from shared.http import Authenticator, Principal, id_of, limit_of, read_nothing, read_object, refuse_unknown_parameters

PATH = "/v1/schedules"


def schedules_router(schedules: Schedules, auth: Authenticator, secret: bytes) -> APIRouter:
    routes = APIRouter()
    allowed = Depends(auth.requires("schedules:write"))

    @routes.post(PATH, **operations.POST_SCHEDULE)
    async def post_schedule(request: Request, principal: Principal = allowed) -> Response:
        refuse_unknown_parameters(request, set())
        made = await schedules.create(principal, await read_object(request))
        return JSONResponse(made, 201, headers={"Location": f"{PATH}/{made['id']}"})

    @routes.get(PATH, **operations.LIST_SCHEDULES)
    async def list_schedules(request: Request, principal: Principal = allowed) -> Response:
        refuse_unknown_parameters(request, {"limit", "cursor"})
        count, scope = limit_of(request), f"schedules/{principal.org_id}"
        rows, views = await schedules.page(principal.org_id, _after(request, secret, scope), count + 1)
        more = len(rows) > count
        following = cursors.sign(secret, scope, rows[count - 1]["created_at"], rows[count - 1]["id"]) if more else None
        return JSONResponse({"data": views[:count], "next_cursor": following, "has_more": more})

    @routes.get(PATH + "/{schedule_id}", **operations.GET_SCHEDULE)
    async def get_schedule(request: Request, schedule_id: str, principal: Principal = allowed) -> Response:
        refuse_unknown_parameters(request, set())
        return JSONResponse(await schedules.show(principal.org_id, id_of(schedule_id)))

    @routes.patch(PATH + "/{schedule_id}", **operations.PATCH_SCHEDULE)
    async def patch_schedule(request: Request, schedule_id: str, principal: Principal = allowed) -> Response:
        refuse_unknown_parameters(request, set())
        return JSONResponse(await schedules.change(principal, id_of(schedule_id), await read_object(request)))

    @routes.delete(PATH + "/{schedule_id}", **operations.DELETE_SCHEDULE)
    async def delete_schedule(request: Request, schedule_id: str, principal: Principal = allowed) -> Response:
        refuse_unknown_parameters(request, set())
        await schedules.delete(principal, id_of(schedule_id))
        return Response(status_code=204)

    @routes.post(PATH + "/{schedule_id}/pause", **operations.PAUSE_SCHEDULE)
    async def pause_schedule(request: Request, schedule_id: str, principal: Principal = allowed) -> Response:
        await read_nothing(request)
        return JSONResponse(await schedules.pause(principal, id_of(schedule_id)))

    @routes.post(PATH + "/{schedule_id}/resume", **operations.RESUME_SCHEDULE)
    async def resume_schedule(request: Request, schedule_id: str, principal: Principal = allowed) -> Response:
        refuse_unknown_parameters(request, set())
        return JSONResponse(await schedules.resume(principal, id_of(schedule_id), await read_object(request, optional=True)))

    @routes.post(PATH + "/{schedule_id}/run", **operations.RUN_SCHEDULE)
    async def run_schedule(request: Request, schedule_id: str, principal: Principal = allowed) -> Response:
        await read_nothing(request)
        return JSONResponse(await schedules.run_now(principal, id_of(schedule_id)), 202)

    @routes.get(PATH + "/{schedule_id}/runs", **operations.LIST_RUNS)
    async def list_runs(request: Request, schedule_id: str, principal: Principal = allowed) -> Response:
        statuses, count = _statuses(request), limit_of(request)
        scope = f"schedule-runs/{principal.org_id}/{schedule_id}/{statuses}"
        rows, views = await schedules.runs(principal.org_id, id_of(schedule_id), statuses, _after(request, secret, scope), count + 1)
        more = len(rows) > count
        following = cursors.sign(secret, scope, rows[count - 1]["window_to"], rows[count - 1]["id"]) if more else None
        return JSONResponse({"data": views[:count], "next_cursor": following, "has_more": more})

    @routes.post(PATH + "/{schedule_id}/backfill", **operations.BACKFILL_SCHEDULE)
    async def backfill_schedule(request: Request, schedule_id: str, principal: Principal = allowed) -> Response:
        refuse_unknown_parameters(request, set())
        return JSONResponse(await schedules.backfill(principal, id_of(schedule_id), await read_object(request)), 202)

    return routes


def _after(request: Request, secret: bytes, scope: str) -> Any:
    given = request.query_params.get("cursor")
    return None if given is None else cursors.open_(secret, scope, given)


def _statuses(request: Request) -> list[str]:
    """The filter, which may be repeated. Raises ApiError 400 for it and for unknown parameters."""
    names = [name for name, _ in request.query_params.multi_items()]
    given = request.query_params.getlist("status")
    wrong = [Detail(n[:80], "unknown query parameter") for n in dict.fromkeys(names) if n not in ("status", "limit", "cursor")]
    wrong += [Detail(n, "given more than once") for n in ("limit", "cursor") if names.count(n) > 1]
    wrong += [Detail("status", f"'{s[:80]}' is not a status; there are {', '.join(RunStatus)}") for s in given if s not in list(RunStatus)]
    if wrong:
        raise invalid_request(*wrong)
    return sorted(set(given))
