"""The destinations' part of the contract, as a client has to cope with it."""

from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse

DESTINATION: dict[str, Any] = {
    "id": "dst_1", "name": "Warehouse \x1b[31m", "type": "sftp", "config": {"host": "files.example.com", "port": 22}, "secrets": ["password"],
    "place": "sftp://files.example.com:22/in", "paused": {"reason": "failing", "message": "3 deliveries in a row were given up.", "at": "2026-04-01T06:00:00Z"},
    "failures": 3, "last_test": {"ok": False, "code": "login_failed", "at": "2026-04-01T06:00:00Z"},
}  # fmt: skip
TESTED = {"ok": False, "code": "login_failed", "message": "The server refused the password.", "place": None, "seconds": 0.1}
DELIVERY: dict[str, Any] = {
    "id": "dlv_1", "export_id": "exp_1", "schedule_id": None, "destination": {"type": "sftp", "id": "dst_1", "name": "Warehouse"}, "status": "failed",
    "under_way": False, "attempt_count": 4, "error": {"code": "quota", "message": "The disk is full."}, "next_attempt_at": None,
    "created_at": "2026-04-01T06:00:00Z", "ended_at": "2026-04-01T07:00:00Z",
}  # fmt: skip


def add_destinations(api: FastAPI) -> None:
    @api.get("/v1/destinations")
    async def destinations() -> Any:
        return {"data": [DESTINATION, DESTINATION | {"id": "dst_2", "paused": None, "failures": 0}], "next_cursor": None, "has_more": False}

    @api.post("/v1/destinations")
    async def create(request: Request) -> Response:
        return JSONResponse(DESTINATION | {"made": {"secret": "whsec_shown-once"}}, 201)

    @api.api_route("/v1/destinations/{destination_id}", methods=["GET", "PATCH"])
    async def one() -> Any:
        return DESTINATION

    @api.delete("/v1/destinations/{destination_id}")
    async def delete() -> Response:
        return Response(status_code=204)

    @api.post("/v1/destinations/{destination_id}/{what}")
    async def post(what: str) -> Any:
        return TESTED if what == "test" else DESTINATION

    @api.get("/v1/deliveries")
    async def deliveries() -> Any:
        return {"data": [DELIVERY], "next_cursor": None, "has_more": False}

    @api.api_route("/v1/deliveries/{delivery_id}", methods=["GET"])
    @api.post("/v1/deliveries/{delivery_id}/redeliver", status_code=202)
    async def delivery() -> Any:
        return DELIVERY | {
            "files": [{"name": "leads.csv", "place": "in/leads.csv", "sent_at": None}],
            "attempts": [{"number": 4, "at": "2026-04-01T07:00:00Z", "duration_ms": 12, "error": DELIVERY["error"]}],
        }
