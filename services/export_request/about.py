"""What describes the HTTP surface of all services: the OpenAPI document, made by tools/openapi.py, and a page that shows it (Redoc, which asks nobody else for anything)."""

import gzip
import hashlib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path

from fastapi import APIRouter, Request
from fastapi.responses import Response

from shared.http import refuse_unknown_parameters
from shared.openapi import answer, operation, text

FILE = Path(__file__).resolve().parents[2] / "schemas" / "openapi.json"
CACHE_SECONDS = 300
_ETAG = {"ETag": {"description": "Of this version.", "schema": text()}}
_UNCHANGED = {304: answer("It hasn't changed.", headers=_ETAG)}
GET_OPENAPI = operation(
    "This document", "About", {200: answer("OpenAPI 3.1, of all services.", {"type": "object"}, headers=_ETAG), **_UNCHANGED}, public=True
)
GET_DOCS = operation(
    "This document as a page", "About", {200: answer("The page.", text(), media="text/html", headers=_ETAG), **_UNCHANGED}, public=True
)

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Waybill: the HTTP API</title>
<link rel="icon" href="data:,">
<style>body { margin: 0 } a[href^="https://redocly.com"] { display: none !important }</style>
</head>
<body>
<redoc spec-url="openapi.json" required-props-first="true" sort-required-props-first="true" json-sample-expand-level="3" hide-download-button="false"></redoc>
<noscript>This page needs JavaScript; the document itself is at <a href="openapi.json">openapi.json</a>.</noscript>
<script src="docs/redoc.js"></script>
</body>
</html>
"""
# Redoc writes styles into the page and searches in a worker that it makes itself; what it would fetch from elsewhere (a logo) stays where it is.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'unsafe-inline'; worker-src blob:; child-src blob:; connect-src 'self'; img-src 'self' data:;"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


@dataclass(frozen=True)
class Static:
    """What is always the same: its bytes, packed too, and its ETag."""

    content: bytes
    packed: bytes
    media_type: str
    etag: str

    def answer(self, request: Request, headers: dict[str, str]) -> Response:
        known = {
            "ETag": self.etag,
            "Cache-Control": f"public, max-age={CACHE_SECONDS}",
            "Vary": "Accept-Encoding",
            "X-Content-Type-Options": "nosniff",
            **headers,
        }
        if self.etag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=known)
        if "gzip" in request.headers.get("accept-encoding", ""):
            return Response(self.packed, headers={**known, "Content-Encoding": "gzip"}, media_type=self.media_type)
        return Response(self.content, headers=known, media_type=self.media_type)


def _static(content: bytes, media_type: str) -> Static:
    return Static(content, gzip.compress(content, mtime=0), media_type, f'W/"{hashlib.sha256(content).hexdigest()}"')


@cache
def document() -> Static:
    return _static(FILE.read_bytes(), "application/json")


@cache
def page() -> Static:
    return _static(PAGE.encode(), "text/html")


@cache
def script() -> Static:
    """Redoc (MIT), as the package fastapi-offline brings it."""
    return _static(files("fastapi_offline").joinpath("static/redoc.standalone.js").read_bytes(), "text/javascript")


def about_router() -> APIRouter:
    routes = APIRouter()

    @routes.get("/openapi.json", **GET_OPENAPI)
    async def get_openapi(request: Request) -> Response:
        refuse_unknown_parameters(request, set())
        return document().answer(request, {"Access-Control-Allow-Origin": "*"})

    @routes.get("/docs", **GET_DOCS)
    async def get_docs(request: Request) -> Response:
        refuse_unknown_parameters(request, set())
        return page().answer(request, {"Content-Security-Policy": POLICY, "Referrer-Policy": "no-referrer"})

    @routes.get("/docs/redoc.js", include_in_schema=False)
    async def get_docs_script(request: Request) -> Response:
        return script().answer(request, {})

    return routes
