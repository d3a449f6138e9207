"""The HTTP API of schedules. What a body may hold is in core/schedules/, what happens in schedules.py."""

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse, Response

from services.export_request.core.schedules.runs import RunStatus
from services.export_request.schedules import operations
from services.export_request.schedules.schedules import Schedules
from shared.http import Authenticator, Principal, id_of, read_nothing, read_object, refuse_unknown_parameters
from shared.owned import add_owned
from shared.paging import page_of
from shared.parameters import Parameters

ONE = "/v1/schedules/{schedule_id}"


def schedules_router(schedules: Schedules, auth: Authenticator, secret: bytes) -> APIRouter:
    routes = APIRouter()
    allowed = Depends(auth.requires("schedules:write"))
    add_owned(
        routes, ONE, schedules, allowed, secret, post_schedule=operations.POST_SCHEDULE, list_schedules=operations.LIST_SCHEDULES,
        get_schedule=operations.GET_SCHEDULE, patch_schedule=operations.PATCH_SCHEDULE, delete_schedule=operations.DELETE_SCHEDULE,
    )  # fmt: skip

    @routes.post(ONE + "/pause", **operations.PAUSE_SCHEDULE)
    async def pause_schedule(request: Request, schedule_id: str, principal: Principal = allowed) -> Response:
        await read_nothing(request)
        return JSONResponse(await schedules.pause(principal, id_of(schedule_id)))

    @routes.post(ONE + "/resume", **operations.RESUME_SCHEDULE)
    async def resume_schedule(request: Request, schedule_id: str, principal: Principal = allowed) -> Response:
        refuse_unknown_parameters(request, set())
        return JSONResponse(await schedules.resume(principal, id_of(schedule_id), await read_object(request, optional=True)))

    @routes.post(ONE + "/run", **operations.RUN_SCHEDULE)
    async def run_schedule(request: Request, schedule_id: str, principal: Principal = allowed) -> Response:
        await read_nothing(request)
        return JSONResponse(await schedules.run_now(principal, id_of(schedule_id)), 202)

    @routes.get(ONE + "/runs", **operations.LIST_RUNS)
    async def list_runs(request: Request, schedule_id: str, principal: Principal = allowed) -> Response:
        given = Parameters(request, repeated=("status",))
        statuses = list(given.some_of("status", RunStatus))
        given.require_right()
        page = page_of(request, secret, f"schedule-runs/{principal.org_id}/{schedule_id}/{statuses}")
        rows, views = await schedules.runs(principal.org_id, id_of(schedule_id), statuses, page.behind, page.sought)
        return page.answer(rows, views, lambda row: (row["window_to"], row["id"]))

    @routes.post(ONE + "/backfill", **operations.BACKFILL_SCHEDULE)
    async def backfill_schedule(request: Request, schedule_id: str, principal: Principal = allowed) -> Response:
        refuse_unknown_parameters(request, set())
        return JSONResponse(await schedules.backfill(principal, id_of(schedule_id), await read_object(request)), 202)

    return routes
