"""The HTTP API: exports, their events, datasets. What an answer looks like is in core/view.py, what happens in store.py and intake.py."""

from datetime import datetime
from typing import Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse, Response

from services.export_request import catalogue, operations
from services.export_request.core.life import RUNNING, Approved, Rejected, Status
from services.export_request.core.view import retry_after_seconds
from services.export_request.intake import Intake
from services.export_request.intake import Request as ExportRequest
from services.export_request.live import Live
from services.export_request.operations import ID_MAX
from services.export_request.previewing import Previews
from services.export_request.store import Exports, Wanted
from shared import cursors
from shared.audit import PURPOSE_MAX
from shared.checks import Check, checked, line
from shared.datasets.instants import resolve_instant
from shared.errors import Detail, invalid_request
from shared.http import Authenticator, Principal, id_of, limit_of, read_json, read_nothing, refuse_unknown_parameters

_REPEATED = {"status", "dataset", "label"}


def exports_router(
    previews: Previews, intake: Intake, exports: Exports, live: Live, auth: Authenticator, secret: bytes, clock: Any,
) -> APIRouter:  # fmt: skip
    routes = APIRouter()
    reads, writes = Depends(auth.requires("exports:read")), Depends(auth.requires("exports:write"))
    admins = Depends(auth.requires("admin"))
    looks = Depends(auth.requires("exports:write", "exports:download"))

    async def told(row: Any) -> JSONResponse:
        return JSONResponse(await exports.view(row))

    def shown(row: Any, view: dict[str, Any], status: int = 200) -> JSONResponse:
        headers = {"Retry-After": str(retry_after_seconds(row, clock()))} if row["status"] in RUNNING else {}
        return JSONResponse(view, status, headers=headers)

    @routes.post("/v1/exports", **operations.POST_EXPORT)
    async def post_export(request: Request, principal: Principal = writes) -> Response:
        refuse_unknown_parameters(request, set())
        body = await read_json(request)
        key = _idempotency_key(request)
        row = await intake.over_http(ExportRequest(principal.org_id, body, key, f"key:{principal.key_id}", by=principal))
        answer = shown(row, await exports.view(row), 202)
        answer.headers["Location"] = f"/v1/exports/{row['id']}"
        return answer

    @routes.post("/v1/exports/preview", **operations.PREVIEW_EXPORT)
    async def preview_export(request: Request, principal: Principal = looks) -> Response:
        refuse_unknown_parameters(request, set())
        return JSONResponse(await previews.preview(principal, await read_json(request)))

    @routes.post("/v1/exports/{export_id}/rerun", **operations.RERUN_EXPORT)
    async def rerun_export(request: Request, export_id: str, principal: Principal = writes) -> Response:
        await read_nothing(request)
        row = await intake.rerun(principal, id_of(export_id), _idempotency_key(request))
        answer = shown(row, await exports.view(row), 202)
        answer.headers["Location"] = f"/v1/exports/{row['id']}"
        return answer

    @routes.post("/v1/exports/{export_id}/approve", **operations.APPROVE_EXPORT)
    async def approve_export(request: Request, export_id: str, principal: Principal = admins) -> Response:
        await read_nothing(request)
        row = await exports.decide(principal, id_of(export_id), Approved())
        return shown(row, await exports.view(row))

    @routes.post("/v1/exports/{export_id}/reject", **operations.REJECT_EXPORT)
    async def reject_export(request: Request, export_id: str, principal: Principal = admins) -> Response:
        refuse_unknown_parameters(request, set())
        row = await exports.decide(
            principal, id_of(export_id), Rejected(checked(await read_json(request, optional=True), _REJECTION).get("reason", ""))
        )
        return shown(row, await exports.view(row))

    @routes.put("/v1/exports/{export_id}/hold", **operations.HOLD_EXPORT)
    async def hold_export(request: Request, export_id: str, principal: Principal = admins) -> Response:
        refuse_unknown_parameters(request, set())
        reason = checked(await read_json(request), _HOLD, required=("reason",))["reason"]
        return await told(await exports.hold(principal, id_of(export_id), reason))

    @routes.delete("/v1/exports/{export_id}/hold", **operations.RELEASE_EXPORT)
    async def release_export(request: Request, export_id: str, principal: Principal = admins) -> Response:
        refuse_unknown_parameters(request, set())
        return await told(await exports.hold(principal, id_of(export_id), None))

    @routes.get("/v1/exports", **operations.LIST_EXPORTS)
    async def list_exports(request: Request, principal: Principal = reads) -> Response:
        _refuse_parameters(request)
        wanted, count = _wanted(request), limit_of(request)
        scope = f"exports/{principal.org_id}/{wanted}"
        before = cursors.open_(secret, scope, c) if (c := request.query_params.get("cursor")) is not None else None
        rows = await exports.page(principal.org_id, wanted, before, count + 1)
        more, rows = len(rows) > count, rows[:count]
        following = cursors.sign(secret, scope, rows[-1]["created_at"], rows[-1]["id"]) if more else None
        return JSONResponse({"data": [await exports.view(row) for row in rows], "next_cursor": following, "has_more": more})

    @routes.get("/v1/exports/{export_id}", **operations.GET_EXPORT)
    async def get_export(request: Request, export_id: str, principal: Principal = reads) -> Response:
        refuse_unknown_parameters(request, set())
        row = await exports.get(principal.org_id, id_of(export_id))
        return shown(row, await exports.view(row))

    @routes.delete("/v1/exports/{export_id}", **operations.DELETE_EXPORT)
    async def delete_export(request: Request, export_id: str, principal: Principal = writes) -> Response:
        refuse_unknown_parameters(request, set())
        row = await exports.remove(principal, id_of(export_id))
        return Response(status_code=204) if row is None else shown(row, await exports.view(row), 202)

    @routes.get("/v1/exports/{export_id}/events", **operations.GET_EXPORT_EVENTS)
    async def get_export_events(request: Request, export_id: str, principal: Principal = reads) -> Response:
        refuse_unknown_parameters(request, set())
        row = await exports.get(principal.org_id, id_of(export_id))
        return live.answer(principal.org_id, row["id"])

    @routes.get("/v1/datasets", **operations.LIST_DATASETS)
    async def list_datasets(request: Request, principal: Principal = reads) -> Response:
        refuse_unknown_parameters(request, set())
        return JSONResponse({"data": catalogue.describe(await exports.custom_properties(principal.org_id))})

    return routes


def _idempotency_key(request: Request) -> str | None:
    given = request.headers.getlist("idempotency-key")
    if len(given) > 1:
        raise invalid_request(Detail("Idempotency-Key", "given more than once"))
    return given[0] if given else None


_HOLD: dict[str, Check] = {"reason": lambda value: line("reason", value, PURPOSE_MAX)}
_REJECTION: dict[str, Check] = {"reason": lambda value: line("reason", value, PURPOSE_MAX)}


def _refuse_parameters(request: Request) -> None:
    """Unknown names and repeats, but for filters that take several values."""
    names = [name for name, _ in request.query_params.multi_items()]
    single = {"created_after", "created_before", "schedule_id", "held", "limit", "cursor"}
    wrong = [Detail(n[:80], "unknown query parameter") for n in dict.fromkeys(names) if n not in single | _REPEATED]
    wrong += [Detail(n, "given more than once") for n in sorted(single) if names.count(n) > 1]
    if wrong:
        raise invalid_request(*wrong)


def _wanted(request: Request) -> Wanted:
    """The list's filters. Raises ApiError 400 naming every wrong one."""
    wrong: list[Detail] = []
    query = request.query_params
    statuses = tuple(sorted(set(query.getlist("status"))))
    wrong += [Detail("status", f"'{s[:80]}' is not a status; there are {', '.join(Status)}") for s in statuses if s not in list(Status)]
    datasets = tuple(sorted(set(query.getlist("dataset"))))
    wrong += [Detail("dataset", f"'{d[:80]}' is not a dataset") for d in datasets if d not in catalogue.names()]
    labels: dict[str, str] = {}
    for each in query.getlist("label"):
        name, separator, value = each.partition("=")
        if not separator or not name or "\x00" in each:
            wrong.append(Detail("label", "must be <name>=<value>"))
        elif labels.setdefault(name, value) != value:
            wrong.append(Detail("label", f"'{name[:80]}' can't have two values"))
    after, before = (
        _instant(query.get("created_after"), "created_after", wrong),
        _instant(query.get("created_before"), "created_before", wrong),
    )
    schedule_id = query.get("schedule_id")
    if schedule_id is not None and not (1 <= len(schedule_id) <= ID_MAX and schedule_id.isprintable()):
        wrong.append(Detail("schedule_id", f"must have 1 to {ID_MAX} printable characters"))
    held = query.get("held")
    if held not in (None, "true"):
        wrong.append(Detail("held", "must be true"))
    if wrong:
        raise invalid_request(*wrong)
    return Wanted(statuses, datasets, dict(sorted(labels.items())), after, before, schedule_id, held is not None)


def _instant(text: str | None, field: str, wrong: list[Detail]) -> datetime | None:
    """A date (midnight UTC) or a time."""
    if text is None:
        return None
    try:
        return resolve_instant(text, "UTC")
    except ValueError as error:
        wrong.append(Detail(field, str(error)))
        return None
