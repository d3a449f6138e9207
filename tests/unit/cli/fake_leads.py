"""The Leads API's part of the contract, as a client has to cope with it."""

from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse

LEAD: dict[str, Any] = {
    "id": "lead_1", "email": "sarah.chen@acmecorp.example", "name": "Sarah \x1b[31mChen", "company": "Acme Corp", "title": None, "phone": None,
    "status": "qualified", "score": 87, "source": "chat", "tags": ["enterprise", "demo"], "customFields": {"industry": "SaaS"},
    "firstSeenAt": "2026-04-01T09:15:00.000Z", "lastActiveAt": "2026-04-05T11:42:00.000Z", "createdAt": "2026-04-01T09:15:00.000Z",
    "updatedAt": "2026-04-05T11:42:00.000Z",
}  # fmt: skip


def add_leads(api: FastAPI) -> None:
    @api.get("/v1/leads")
    async def leads() -> Any:
        return {"data": [LEAD], "pagination": {"page": 1, "limit": 1, "total": 3, "totalPages": 3, "hasMore": True}}

    @api.post("/v1/leads")
    async def create(request: Request) -> Response:
        body = await request.json()
        if body["email"] == "taken@x.example":
            error = {
                "code": "conflict",
                "message": "A lead with email 'taken@x.example' already exists.",
                "existingLeadId": "lead_1",
                "doc_url": "x",
            }
            return JSONResponse({"error": error}, 409)
        return JSONResponse(LEAD | body, 201)

    @api.get("/v1/leads/search")
    async def search() -> Any:
        hit = {name: LEAD[name] for name in ("id", "email", "name", "company", "status", "score", "lastActiveAt")} | {
            "matchField": "company"
        }
        return {"data": [hit], "pagination": {"page": 1, "limit": 25, "total": 1, "totalPages": 1, "hasMore": False}}

    @api.delete("/v1/leads/{lead_id}")
    async def erase() -> Response:
        return JSONResponse({"id": "era_1", "kind": "lead", "status": "completed", "erased_at": "2026-04-05T11:42:00.000Z"}, 202)

    @api.get("/v1/leads/{lead_id}")
    async def one(lead_id: str) -> Any:
        return LEAD | {"id": lead_id, "conversationCount": 3, "lastIntent": None, "assignedTo": None}

    @api.get("/v1/leads/{lead_id}/score")
    async def score(lead_id: str) -> Any:
        reasons = [{"rule": "business_email", "points": 8}, {"rule": "lost", "points": -40}]
        return {
            "leadId": lead_id,
            "score": 8,
            "reasons": reasons,
            "modelVersion": 1,
            "factsVersion": 3,
            "scoredAt": "2026-04-05T11:42:00.000Z",
        }

    @api.patch("/v1/leads/{lead_id}")
    async def change(request: Request) -> Any:
        return LEAD | await request.json()
