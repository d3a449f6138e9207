"""What every HTTP service shares: the error contract, strict JSON bodies, refused unknown parameters, API keys."""

import asyncio
import contextlib
import hashlib
import hmac
import re
import secrets
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Set
from dataclasses import dataclass, field
from typing import Any

import asyncpg
import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from fastapi.routing import iter_route_contexts
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared import metrics, ratelimit, strictjson
from shared.background import Background
from shared.database import in_time, sorted_errors
from shared.errors import ApiError, Detail, TransientError, forbidden, invalid_request, not_found, too_large, unauthorized, unavailable
from shared.observability import rename_span, span

log = structlog.get_logger()
BODY_BYTES_MAX = 1 << 20
LIMIT, LIMIT_MAX = 50, 500  # rows of a page
ADDRESS_MAX = 64
NOT_STORED = {"Cache-Control": "no-store"}  # of answers that show a secret
_WHOLE = re.compile(r"[0-9]{1,6}")
HEAR_SECONDS, HEAR_BYTES = 2.0, 16 << 20  # that an answer waits for the rest of its request
USE_SECONDS, KEYS_NOTED_MAX = 60.0, 100_000
KEY_SECONDS = 1.5  # to look a key up: a caller hears within two seconds that PostgreSQL is away
SCOPES = (
    "leads:read", "leads:write", "records:write", "exports:read", "exports:write", "exports:download", "schedules:write",
    "destinations:write", "webhooks:write", "sftp:write", "settings:write", "audit:read", "admin",
)  # fmt: skip


# ---- keys


@dataclass(frozen=True)
class Principal:
    """Who asks: one organisation's API key and what it may do. `admin` may do everything in its organisation."""

    org_id: str
    key_id: str
    scopes: frozenset[str]
    address: str = ""  # where the request came from, for the audit trail

    def require(self, scope: str) -> None:
        if scope not in self.scopes and "admin" not in self.scopes:
            raise forbidden(scope)


_KEY = re.compile(r"(?i:Bearer) +sk_live_([0-9A-Za-z]{4,40})_([0-9A-Za-z_-]{16,100})")


def new_key() -> tuple[str, str, bytes]:
    """A fresh API key: (id, the key to show once, the hash to keep)."""
    key_id, secret = secrets.token_hex(8), secrets.token_hex(20)
    return key_id, f"sk_live_{key_id}_{secret}", hash_secret(secret)


def hash_secret(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()


class Authenticator:
    """Finds the principal of a request; the same answer and work for a key that is wrong, unknown, revoked or expired.

    `pool` is best one of its own, so that long work of others doesn't keep callers waiting at the door.
    """

    def __init__(self, pool: asyncpg.Pool, requests_per_second: int = 0) -> None:
        """`requests_per_second`: of an organisation that has no limit of its own; 0: none."""
        self._pool, self._rate = pool, requests_per_second
        self._noted: dict[str, float] = {}  # keys whose use was written down, and when
        self._noting = Background()

    async def principal(self, request: Request) -> Principal:
        match = _KEY.fullmatch(request.headers.get("authorization", ""))
        if match is None:
            raise unauthorized()
        with sorted_errors():
            row = await in_time(self._pool.fetchrow("SELECT * FROM tenancy.find_key($1)", match[1]), KEY_SECONDS)
        expected = row["hash"] if row else bytes(32)
        if not hmac.compare_digest(hash_secret(match[2]), expected) or row is None:
            raise unauthorized()
        structlog.contextvars.bind_contextvars(org_id=row["org_id"], key_id=match[1])
        if rate := self._rate if row["requests_per_second"] is None else row["requests_per_second"]:
            await self._take(row["org_id"], rate)
        self._note_use(match[1])
        return Principal(row["org_id"], match[1], frozenset(row["scopes"]), address_of(request))

    async def _take(self, org_id: str, rate: int) -> None:
        """Raises ApiError 429 where the organisation asks too often, from whatever process."""
        with sorted_errors():
            row = await in_time(self._pool.fetchrow("SELECT * FROM tenancy.take_from_bucket($1, $2)", org_id, rate), KEY_SECONDS)
        if not row["allowed"]:
            taken = ratelimit.Taken(False, row["remaining"], row["reset_seconds"])
            raise ratelimit.rate_limited(ratelimit.Policy("organisation", rate, 1), taken, "by your organisation")

    def _note_use(self, key_id: str) -> None:
        """When the key was last used, to the minute; nobody waits for it, and where it can't be written the next minute's use is."""
        now = time.monotonic()
        if now - self._noted.get(key_id, -USE_SECONDS) < USE_SECONDS:
            return
        if len(self._noted) > KEYS_NOTED_MAX:
            self._noted.clear()
        self._noted[key_id] = now

        async def note() -> None:
            with contextlib.suppress(TransientError), sorted_errors():
                await self._pool.execute("SELECT tenancy.use_key($1)", key_id, timeout=2)

        self._noting.start("note that a key is used", note())

    def requires(self, *scopes: str) -> "Requires":
        """A FastAPI dependency: the principal, who has all of `scopes`."""
        return Requires(self, scopes)


@dataclass(frozen=True)
class Requires:
    """A FastAPI dependency that lets a key with all of `scopes` through; without any, every good key. The OpenAPI document reads it from the routes."""

    authenticator: Authenticator
    scopes: tuple[str, ...]

    async def __call__(self, request: Request) -> Principal:
        principal = await self.authenticator.principal(request)
        for scope in self.scopes:
            principal.require(scope)
        return principal


@dataclass(frozen=True)
class Operator:
    """A FastAPI dependency: only the operator, who has `token`, gets through. Without a token what it guards is not there at all."""

    token: str = field(repr=False)

    async def __call__(self, request: Request) -> None:
        if not self.token:
            raise not_found(f"'{request.url.path}'")
        given = request.headers.get("authorization", "").encode()
        if not hmac.compare_digest(given, f"Bearer {self.token}".encode()):
            raise unauthorized()


# ---- requests


async def read_body(request: Request, bytes_max: int = BODY_BYTES_MAX) -> bytes:
    """The body, read as a stream and refused with 413 as soon as it is too large."""
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > bytes_max:
        raise too_large(f"The body is larger than {bytes_max} bytes.")
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > bytes_max:
            raise too_large(f"The body is larger than {bytes_max} bytes.")
    return bytes(body)


async def read_json(request: Request, bytes_max: int = BODY_BYTES_MAX, *, optional: bool = False) -> Any:
    """A JSON body; where it is `optional` and missing, an empty object. 415 for another content type, 400 that names the field for what the contract refuses."""
    content_type = request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    if content_type != "application/json":
        raise ApiError(415, "unsupported_media_type", "The body must be application/json.")
    body = await read_body(request, bytes_max)
    if optional and not body:
        return {}
    try:
        return strictjson.loads(body)
    except strictjson.JsonProblem as problem:
        raise invalid_request(Detail(problem.field, problem.message)) from problem


async def read_object(request: Request, *, optional: bool = False) -> dict[str, Any]:
    """A JSON object, as read_json reads it."""
    body = await read_json(request, optional=optional)
    if not isinstance(body, dict):
        raise invalid_request(Detail("", "the body must be a JSON object"))
    return body


async def read_nothing(request: Request) -> None:
    """Raises ApiError 400 for parameters, and for a body that says anything, by its fields."""
    refuse_unknown_parameters(request, set())
    body = await read_body(request)
    try:
        said = strictjson.loads(body) if body.strip() else {}
    except strictjson.JsonProblem:
        said = None
    if not isinstance(said, dict):
        raise invalid_request(Detail("", "there is nothing to say in a body here"))
    if said:
        raise invalid_request(*(Detail(name[:80], "unknown field") for name in said))


def refuse_unknown_parameters(request: Request, known: set[str]) -> None:
    """400 that names each query parameter that is unknown or given twice."""
    if wrong := wrong_parameters(request, known):
        raise invalid_request(*wrong)


def wrong_parameters(request: Request, single: set[str], repeated: Set[str] = frozenset()) -> list[Detail]:
    """Query parameters that are unknown, and those of `single` that are given twice."""
    names = Counter(name for name, _ in request.query_params.multi_items())
    wrong = [Detail(name[:80], "unknown query parameter") for name in names if name not in single | repeated]
    return wrong + [Detail(name, "given more than once") for name, count in names.items() if name in single and count > 1]


def address_of(request: Request) -> str:
    """The caller's address: what the gateway in front says (its own entry is the last one), else who is connected."""
    forwarded = request.headers.get("x-forwarded-for", "").rpartition(",")[2].strip()
    address = forwarded or (request.client.host if request.client else "")
    return address if len(address) <= ADDRESS_MAX and address.isprintable() else ""


def id_of(text: str) -> str:
    """An id from a path; what no id can be finds nothing."""
    return text if text.isprintable() and len(text) <= 100 else ""


def limit_of(request: Request, default: int = LIMIT, highest: int = LIMIT_MAX) -> int:
    """How many rows a page has. Raises ApiError 400."""
    text = request.query_params.get("limit", str(default))
    if not _WHOLE.fullmatch(text) or not 1 <= int(text) <= highest:
        raise invalid_request(Detail("limit", f"must be a whole number between 1 and {highest}"))
    return int(text)


# ---- answers


def answer(error: ApiError) -> JSONResponse:
    return JSONResponse(error.body(), error.status, headers=error.headers)


def create_api(title: str) -> FastAPI:
    """A FastAPI app whose every error has the contract's shape; routers are added by the service's api.py."""
    app = FastAPI(title=title, docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False)
    handlers: dict[Any, Callable[[Request, Any], Awaitable[Response]]] = {
        ApiError: _api_error, TransientError: _transient, HTTPException: _http_exception,
        RequestValidationError: _validation, Exception: _defect,
    }  # fmt: skip
    for kind, handler in handlers.items():
        app.add_exception_handler(kind, handler)
    app.add_middleware(_HearsOut)
    app.add_middleware(_Traced)
    return app


class _HearsOut:
    """Lets a request come in before it is answered (a 401 is known after the headers): a gateway that is still passing a body on when the answer comes may
    cut off both. What is very long, or slow, is answered anyway.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not _has_body(scope):
            return await self._app(scope, receive, send)
        more = True

        async def heard() -> Message:
            nonlocal more
            message = await receive()
            more = message["type"] == "http.request" and message.get("more_body", False)
            return message

        async def answered(message: Message) -> None:
            if message["type"] == "http.response.start":
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(HEAR_SECONDS):
                        left = HEAR_BYTES
                        while more and left > 0:
                            left -= len((await heard()).get("body", b""))
            await send(message)

        return await self._app(scope, heard, answered)


def _has_body(scope: Scope) -> bool:
    headers = dict(scope["headers"])
    return b"transfer-encoding" in headers or headers.get(b"content-length", b"0") != b"0"


class _Traced:
    """A span and a measured time for each request. Plain ASGI: Starlette's function middleware puts a queue between a streamed answer and its caller."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        structlog.contextvars.clear_contextvars()
        sender = {name.decode(): value.decode("latin-1") for name, value in scope["headers"] if name == b"traceparent"}
        began = time.monotonic()

        async def measured(message: Message) -> None:
            if message["type"] == "http.response.start" and not route_of(scope).startswith(("/health", "/metrics")):
                status = str(message["status"])
                metrics.HTTP_SECONDS.labels(_method(scope), route_of(scope), status).observe(time.monotonic() - began)
                rename_span(f"{_method(scope)} {route_of(scope)}")
            await send(message)

        with span(f"{_method(scope)} request", sender):
            return await self._app(scope, receive, measured)


def route_of(scope: Scope) -> str:
    """The template of the path that was asked for: it has no ids and no tokens, and there are few of them."""
    return str(getattr(scope.get("route"), "path", "none"))


def _method(scope: Scope) -> str:
    method = str(scope["method"])
    return method if method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS") else "other"


async def _api_error(_: Request, error: ApiError) -> Response:
    return answer(error)


async def _transient(_: Request, error: TransientError) -> Response:
    return answer(unavailable(error.dependency or "A dependency", error.retry_after_seconds))


async def _http_exception(request: Request, error: HTTPException) -> Response:
    if error.status_code == 404:
        return answer(not_found(f"'{request.url.path}'"))
    if error.status_code == 405:
        headers = {"Allow": ", ".join(sorted(_methods(request)))}
        return answer(ApiError(405, "method_not_allowed", f"'{request.method}' is not allowed here.", headers=headers))
    return answer(ApiError(error.status_code, "invalid_request", str(error.detail)))


def _methods(request: Request) -> set[str]:
    """All that can be done with a path; the router tells of the first route alone, and each has one."""
    found = [context for context in iter_route_contexts(request.app.routes) if context.path_regex.match(request.url.path)]
    return {method for context in found if context.path == found[0].path for method in context.methods or ()}


async def _validation(_: Request, error: RequestValidationError) -> Response:
    details = [Detail(".".join(str(p) for p in e["loc"][1:]), e["msg"]) for e in error.errors()]
    return answer(invalid_request(*details))


async def _defect(request: Request, error: Exception) -> Response:
    log.error("defect", method=_method(request.scope), route=route_of(request.scope), exc_info=error)
    return answer(ApiError(500, "internal", "Something went wrong on our side; it has been logged."))
