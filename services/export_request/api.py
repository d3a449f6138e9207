"""The HTTP API of exports: asking for them, following them, listing them, ending them. What happens is in intake.py and store.py."""

from collections.abc import Callable
from datetime import datetime

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse, Response

from services.export_request import catalogue, operations
from services.export_request.answering import Answers
from services.export_request.asking import Request as ExportRequest
from services.export_request.core.life import Status
from services.export_request.intake import Intake
from services.export_request.live import Live
from services.export_request.previewing import Previews
from services.export_request.store import Exports, Wanted
from shared.errors import Detail, invalid_request
from shared.http import Authenticator, Principal, id_of, read_json, read_nothing, refuse_unknown_parameters
from shared.paging import page_of
from shared.parameters import Parameters

ONE = "/v1/exports/{export_id}"


def exports_router(
    intake: Intake, exports: Exports, live: Live, auth: Authenticator, secret: bytes, clock: Callable[[], datetime]
) -> APIRouter:
    routes, answers = APIRouter(), Answers(exports, clock)
    reads, writes = Depends(auth.requires("exports:read")), Depends(auth.requires("exports:write"))

    @routes.post("/v1/exports", **operations.POST_EXPORT)
    async def post_export(request: Request, principal: Principal = writes) -> Response:
        refuse_unknown_parameters(request, set())
        body, key = await read_json(request), _idempotency_key(request)
        return await answers.accepted(
            await intake.over_http(ExportRequest(principal.org_id, body, key, f"key:{principal.key_id}", by=principal))
        )

    @routes.post(ONE + "/rerun", **operations.RERUN_EXPORT)
    async def rerun_export(request: Request, export_id: str, principal: Principal = writes) -> Response:
        await read_nothing(request)
        return await answers.accepted(await intake.rerun(principal, id_of(export_id), _idempotency_key(request)))

    @routes.get("/v1/exports", **operations.LIST_EXPORTS)
    async def list_exports(request: Request, principal: Principal = reads) -> Response:
        wanted = _wanted(request)
        page = page_of(request, secret, f"exports/{principal.org_id}/{wanted}")
        rows = await exports.page(principal.org_id, wanted, page.behind, page.sought)
        return page.answer(rows, [await exports.view(row) for row in rows[: page.count]])

    @routes.get(ONE, **operations.GET_EXPORT)
    async def get_export(request: Request, export_id: str, principal: Principal = reads) -> Response:
        refuse_unknown_parameters(request, set())
        return await answers.shown(await exports.get(principal.org_id, id_of(export_id)))

    @routes.delete(ONE, **operations.DELETE_EXPORT)
    async def delete_export(request: Request, export_id: str, principal: Principal = writes) -> Response:
        refuse_unknown_parameters(request, set())
        row = await exports.remove(principal, id_of(export_id))
        return Response(status_code=204) if row is None else await answers.shown(row, 202)

    @routes.get(ONE + "/events", **operations.GET_EXPORT_EVENTS)
    async def get_export_events(request: Request, export_id: str, principal: Principal = reads) -> Response:
        refuse_unknown_parameters(request, set())
        row = await exports.get(principal.org_id, id_of(export_id))
        return live.answer(principal.org_id, row["id"])

    return routes


def datasets_router(previews: Previews, exports: Exports, auth: Authenticator) -> APIRouter:
    """What can be asked for, and what would come of it."""
    routes = APIRouter()
    reads, looks = Depends(auth.requires("exports:read")), Depends(auth.requires("exports:write", "exports:download"))

    @routes.get("/v1/datasets", **operations.LIST_DATASETS)
    async def list_datasets(request: Request, principal: Principal = reads) -> Response:
        refuse_unknown_parameters(request, set())
        return JSONResponse({"data": catalogue.describe(await exports.custom_properties(principal.org_id))})

    @routes.post("/v1/exports/preview", **operations.PREVIEW_EXPORT)
    async def preview_export(request: Request, principal: Principal = looks) -> Response:
        refuse_unknown_parameters(request, set())
        return JSONResponse(await previews.preview(principal, await read_json(request)))

    return routes


def _idempotency_key(request: Request) -> str | None:
    given = request.headers.getlist("idempotency-key")
    if len(given) > 1:
        raise invalid_request(Detail("Idempotency-Key", "given more than once"))
    return given[0] if given else None


def _wanted(request: Request) -> Wanted:
    """The list's filters. Raises ApiError 400 naming every wrong one."""
    given = Parameters(request, ("created_after", "created_before", "schedule_id", "held"), ("status", "dataset", "label"))
    wanted = Wanted(
        given.some_of("status", Status), given.some_of("dataset", catalogue.names()), _labels(given),
        given.instant("created_after"), given.instant("created_before"), given.id("schedule_id"), given.one("held") is not None,
    )  # fmt: skip
    if wanted.held and given.one("held") != "true":
        given.wrong.append(Detail("held", "must be true"))
    given.require_right()
    return wanted


def _labels(given: Parameters) -> dict[str, str]:
    """All that an export is to have, by name."""
    labels: dict[str, str] = {}
    for each in given.all("label"):
        name, separator, value = each.partition("=")
        if not separator or not name or "\x00" in each:
            given.wrong.append(Detail("label", "must be <name>=<value>"))
        elif labels.setdefault(name, value) != value:
            given.wrong.append(Detail("label", f"'{name[:80]}' can't have two values"))
    return dict(sorted(labels.items()))
