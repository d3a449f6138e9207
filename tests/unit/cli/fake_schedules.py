"""The schedules' part of the contract, as a client has to cope with it."""

from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse

RUN: dict[str, Any] = {
    "id": "run_1", "kind": "scheduled", "window": {"from": "2026-03-01T00:00:00.000Z", "to": "2026-03-01T01:00:00.000Z"}, "status": "failed", "export_id": "exp_1",
    "file_name": "org_demo_message_1.csv", "rows": None, "reason": {"code": "store_full", "message": "The store is full. \x1b[31m"},
}  # fmt: skip
SCHEDULE: dict[str, Any] = {
    "id": "sch_1", "name": "Messages \x1b[31m", "export": {"dataset": "messages", "format": "csv"}, "frequency": "hourly", "cron": None, "timezone": "Europe/Brussels",
    "sftp": True, "catch_up": "all", "has_password": False, "status": "active", "next_window": RUN["window"], "next_run_at": "2026-03-01T01:00:41.000Z", "last_run": RUN,
}  # fmt: skip
BACKFILL: dict[str, Any] = {"id": "bf_1", "windows": 24, "completed": 3, "failed": 1}


def add_schedules(api: FastAPI) -> None:
    path = "/v1/schedules"

    @api.get(path)
    async def schedules() -> Any:
        return {
            "data": [SCHEDULE, SCHEDULE | {"id": "sch_2", "last_run": None, "frequency": None, "cron": "15 6 * * *"}],
            "next_cursor": None,
            "has_more": False,
        }

    @api.post(path)
    async def create(request: Request) -> Response:
        return JSONResponse(SCHEDULE | await request.json(), 201)

    @api.get(path + "/{schedule_id}")
    async def one() -> Any:
        return SCHEDULE | {"backfills": [BACKFILL]}

    @api.patch(path + "/{schedule_id}")
    async def update(request: Request) -> Any:
        return SCHEDULE | await request.json()

    @api.delete(path + "/{schedule_id}")
    async def delete() -> Response:
        return Response(status_code=204)

    @api.get(path + "/{schedule_id}/runs")
    async def runs(cursor: str | None = None) -> Any:
        return {"data": [RUN], "next_cursor": None if cursor else "more", "has_more": cursor is None}

    @api.post(path + "/{schedule_id}/{what}")
    async def post(what: str) -> Any:
        answers = {
            "pause": SCHEDULE | {"status": "paused", "next_run_at": None},
            "resume": SCHEDULE,
            "run": RUN,
            "backfill": BACKFILL | {"already_run": 2},
        }
        return answers[what]
