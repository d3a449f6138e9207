"""The webhook endpoints' part of the contract, as a client has to cope with it."""

from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse

ENDPOINT: dict[str, Any] = {
    "id": "whe_1", "url": "https://hooks.example/", "description": "CRM \x1b[31m", "events": ["export.completed"], "enabled": True, "disabled": None,
    "failing_since": None, "old_secret_expires_at": None, "created_at": "2026-03-01T00:00:00.000Z", "updated_at": "2026-03-01T00:00:00.000Z",
}  # fmt: skip
DISABLED = ENDPOINT | {
    "id": "whe_2",
    "enabled": False,
    "disabled": {"reason": "gone", "message": "It is gone.", "at": "2026-03-02T00:00:00.000Z"},
}
ATTEMPT = {"number": 1, "at": "2026-03-01T00:00:00.000Z", "duration_ms": 12, "response_code": 204, "error": None, "response_excerpt": None}
REFUSED = ATTEMPT | {"response_code": 503, "error": {"code": "http_error", "message": "It answered 503."}}
DELIVERY: dict[str, Any] = {
    "id": "whd_1", "webhook_id": "evt_1", "event": "export.completed", "status": "delivered", "payload": {}, "attempt_count": 1, "attempts": [ATTEMPT],
    "next_attempt_at": None,
}  # fmt: skip


def add_webhooks(api: FastAPI) -> None:
    path = "/v1/webhook-endpoints"

    @api.get(path)
    async def endpoints() -> Any:
        return {"data": [ENDPOINT, DISABLED], "next_cursor": None, "has_more": False}

    @api.post(path)
    async def create(request: Request) -> Response:
        return JSONResponse(ENDPOINT | await request.json() | {"secret": "whsec_once"}, 201)

    @api.get(path + "/{endpoint_id}")
    async def one(endpoint_id: str) -> Any:
        return DISABLED if endpoint_id == "whe_2" else ENDPOINT

    @api.patch(path + "/{endpoint_id}")
    async def change(request: Request) -> Any:
        return ENDPOINT | await request.json()

    @api.delete(path + "/{endpoint_id}")
    async def delete() -> Response:
        return Response(status_code=204)

    @api.post(path + "/{endpoint_id}/test")
    async def test(endpoint_id: str) -> Any:
        good = endpoint_id == "whe_1"
        return {"delivered": good, "delivery": DELIVERY if good else DELIVERY | {"attempts": [REFUSED]}}

    @api.post(path + "/{endpoint_id}/rotate-secret")
    async def rotate() -> Any:
        return ENDPOINT | {"secret": "whsec_new", "old_secret_expires_at": "2026-03-02T00:00:00.000Z"}

    @api.post(path + "/{endpoint_id}/recover")
    async def recover(request: Request) -> Response:
        return JSONResponse({**await request.json(), "recovered": 3}, 202)

    @api.get(path + "/{endpoint_id}/deliveries")
    async def deliveries(cursor: int = 0) -> Any:
        return {
            "data": [DELIVERY | {"id": f"whd_{cursor}"}],
            "next_cursor": str(cursor + 1) if cursor < 2 else None,
            "has_more": cursor < 2,
        }

    @api.post(path + "/{endpoint_id}/deliveries/{delivery_id}/redeliver")
    async def redeliver() -> Response:
        return JSONResponse(DELIVERY | {"status": "pending"}, 202)
