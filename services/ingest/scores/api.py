"""GET /v1/leads/{id}/score: a lead's score, and why. GET /v1/scoring: how far the rules of now have come."""

import json
from typing import Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse, Response

from services.ingest.paths import id_in
from services.ingest.scores import operations
from services.ingest.scores.keeping import Scores
from shared.clock import instant
from shared.errors import not_found
from shared.http import Authenticator, Principal, refuse_unknown_parameters


def scores_router(scores: Scores, auth: Authenticator) -> APIRouter:
    routes = APIRouter()
    reads = Depends(auth.requires("leads:read"))

    @routes.get("/v1/leads/{lead_id}/score", **operations.GET_SCORE)
    async def get_score(request: Request, lead_id: str, principal: Principal = reads) -> Response:
        refuse_unknown_parameters(request, set())
        row = await scores.of(principal.org_id, id_in(lead_id))
        if row is None:
            raise not_found("The lead")
        return JSONResponse(score_view(row))

    @routes.get("/v1/scoring", **operations.GET_SCORING)
    async def get_scoring(request: Request, principal: Principal = reads) -> Response:
        refuse_unknown_parameters(request, set())
        row = await scores.progress(principal.org_id)
        return JSONResponse({**row, "complete": row["rescored"] >= row["leads"]})

    return routes


def score_view(row: Any) -> dict[str, Any]:
    """0 without reasons until there is a score."""
    return {
        "leadId": row["id"], "score": row["score"] or 0, "reasons": json.loads(row["reasons"] or "[]"), "modelVersion": row["model_version"],
        "factsVersion": row["facts_version"], "scoredAt": instant(row["scored_at"]),
    }  # fmt: skip
