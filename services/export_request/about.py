"""What describes the HTTP surface of all services: the OpenAPI document, made by tools/openapi.py."""

import hashlib
from functools import cache
from pathlib import Path

from fastapi import APIRouter, Request
from fastapi.responses import Response

from shared.http import refuse_unknown_parameters
from shared.openapi import answer, operation

FILE = Path(__file__).resolve().parents[2] / "schemas" / "openapi.json"
CACHE_SECONDS = 300
GET_OPENAPI = operation(
    "This document", "About", {200: answer("OpenAPI 3.1, of all services.", {"type": "object"})}, public=True,
)  # fmt: skip


@cache
def document() -> tuple[bytes, str]:
    """The document, and its ETag."""
    content = FILE.read_bytes()
    return content, f'"{hashlib.sha256(content).hexdigest()}"'


def about_router() -> APIRouter:
    routes = APIRouter()

    @routes.get("/openapi.json", **GET_OPENAPI)
    async def get_openapi(request: Request) -> Response:
        refuse_unknown_parameters(request, set())
        content, etag = document()
        headers = {"ETag": etag, "Cache-Control": f"public, max-age={CACHE_SECONDS}", "Access-Control-Allow-Origin": "*"}
        return Response(content, headers=headers, media_type="application/json")

    return routes
