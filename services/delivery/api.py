"""Downloads: files, manifests, and links that need no key."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Annotated, Any

import structlog
from fastapi import APIRouter, Depends, Request
from fastapi.responses import RedirectResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from services.delivery import operations
from services.delivery.core import links, ranges
from services.delivery.core.access import Access, Standing, decide
from services.delivery.metrics import DOWNLOADED
from services.delivery.pieces import Pieces
from services.delivery.store import DeliveryStore, Found
from services.delivery.threads import Threads
from shared import audit
from shared.checks import line
from shared.database import in_time
from shared.errors import ApiError, Detail, TransientError, gone, invalid_request, not_found
from shared.http import Authenticator, Principal, address_of, refuse_unknown_parameters
from shared.outbox import Outbox, Outgoing
from shared.storage import NotThere, ObjectStore
from shared.storage.names import content_disposition

log = structlog.get_logger()
NAME_CHARACTERS_MAX = 255
BEGIN_SECONDS = 1.5  # for the first piece: a caller hears within two seconds that the store is away
# Stored bytes go out as they are (`no-transform`): a checksum that a proxy's compression changed would be worth nothing.
FIXED_HEADERS = {"Accept-Ranges": "bytes", "X-Content-Type-Options": "nosniff", "Cache-Control": "private, no-cache, no-transform"}


class Downloads:
    """Finds published files and streams them with flat memory."""

    def __init__(
        self, store: DeliveryStore, objects: ObjectStore, threads: Threads, secret_key: str, public_url: str, outbox: Outbox,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:  # fmt: skip
        self._store, self._objects, self._threads = store, objects, threads
        self._secret_key, self._public_url, self._outbox, self._now = secret_key, public_url.rstrip("/"), outbox, now

    async def find(self, org_id: str, export_id: str, name: str) -> Found:
        """Raises ApiError 404 and 410."""
        what = f"File '{name[:NAME_CHARACTERS_MAX]}'"
        if not (_plausible(export_id) and _plausible(name)):
            raise not_found("The file")
        found = await self._store.find_file(org_id, export_id, name)
        self._admit(found.standing if found else None, what)
        if found is None or found.key is None:
            raise not_found(what)
        return found

    async def manifest(self, org_id: str, export_id: str) -> tuple[str, str]:
        """Its text and its name. Raises ApiError 404 and 410."""
        if not _plausible(export_id):
            raise not_found("The manifest")
        found = await self._store.find_manifest(org_id, export_id)
        self._admit(found[0] if found else None, "The manifest")
        if found is None or not found[1]:
            raise not_found("The manifest")
        return found[1:]

    def _admit(self, standing: Standing | None, what: str) -> None:
        access = decide(standing, self._now())
        if access is Access.EXPIRED:
            raise gone(f"{what} has expired.")
        if access is Access.MISSING:
            raise not_found(what)

    async def link(self, by: Principal, export_id: str, name: str, found: Found, purpose: str) -> str:
        """A link to the file that needs no key and is good for five minutes. Who asked is noted: of what is done with a link of the store's we hear nothing."""
        details = {"file": name, "sha256": found.sha256, "seconds": links.LINK_SECONDS}
        await self._outbox.publish([audit.entry(by, "file.link_created", export_id, details, purpose or found.purpose)])
        url = await self._threads.run(self._objects.signed_url, found.key, links.LINK_SECONDS, name, found.media_type)
        if url is not None:
            return url
        expires = int(self._now().timestamp()) + links.LINK_SECONDS
        claim = links.Claim(by.org_id, export_id, name, expires, by.key_id, purpose)
        return f"{self._public_url}/v1/downloads/{links.sign(self._secret_key, claim)}"

    def claim(self, token: str) -> links.Claim:
        """Raises ApiError 403 for a token that wasn't made here, 410 after its time."""
        try:
            claim = links.verify(self._secret_key, token)
        except links.BadLink:
            raise ApiError(403, "forbidden", "This link is not valid.") from None
        if self._now().timestamp() >= claim.expires:
            raise gone("This link has expired; ask for a new one.")
        return claim

    async def serve(self, request: Request, taking: "Taking", found: Found) -> Response:
        """The file, or what the request's conditions make of it. Bytes go out once it is noted who takes them: what can't be noted isn't served."""
        name = taking.name
        etag, modified = f'"{found.sha256}"', found.published_at or self._now()
        headers = {**FIXED_HEADERS, "ETag": etag, "Last-Modified": format_datetime(modified.astimezone(UTC), usegmt=True)}
        answer = ranges.decide(request.headers, found.bytes, etag, modified)
        match answer:
            case ranges.NotModified():
                return Response(status_code=304, headers=headers)
            case ranges.PreconditionFailed():
                raise ApiError(412, "precondition_failed", "The file is another version than the one asked for.", headers=headers)
            case ranges.Unsatisfiable():
                refused = {**headers, "Content-Range": f"bytes */{found.bytes}"}
                raise ApiError(416, "range_not_satisfiable", f"The file has {found.bytes} bytes.", headers=refused)
        headers |= {"Content-Type": found.media_type or "application/octet-stream", "Content-Disposition": content_disposition(name)}
        span = answer if isinstance(answer, ranges.Span) else ranges.Span(0, found.bytes)
        headers["Content-Length"] = str(span.end - span.start)
        status = 200
        if span is answer:
            status, headers["Content-Range"] = 206, f"bytes {span.start}-{span.end - 1}/{found.bytes}"
        if request.method == "HEAD" or span.start == span.end:
            return Response(status_code=status, headers=headers)
        pieces = await self._begin(found.key or "", span)
        try:
            await self._outbox.publish([taking.noted(found, span)])
        except BaseException:
            self._threads.start(pieces.close)
            raise
        return Download(pieces, self._threads, status, headers)

    async def _begin(self, key: str, span: ranges.Span) -> Pieces:
        """The first piece is read before the answer begins, so that a store that is away is a 503 and not a broken body."""
        pieces = Pieces(self._objects.read(key, span.start, span.end))
        try:
            await in_time(self._threads.run(pieces.begin), BEGIN_SECONDS)
        except NotThere:
            log.error("published_file_missing", key=key)
            raise not_found("The file") from None
        except TimeoutError:
            self._threads.start(pieces.close)  # once its read is over
            raise TransientError("The store: no answer in time", "The store") from None
        return pieces


@dataclass(frozen=True)
class Taking:
    """Who takes which file, from where and why."""

    org_id: str
    export_id: str
    name: str
    actor: str
    address: str
    purpose: str

    def noted(self, found: Found, span: ranges.Span) -> Outgoing:
        details: dict[str, Any] = {"file": self.name, "sha256": found.sha256, "bytes": span.end - span.start}
        if details["bytes"] != found.bytes:
            details["first_byte"] = span.start
        return audit.note(self.org_id, self.actor, "file.downloaded", self.export_id, details, self.address, self.purpose or found.purpose)


class Download(StreamingResponse):
    """Lets go of the object however the answer ends: sent, refused, or left by the caller before or in the middle of it."""

    def __init__(self, pieces: Pieces, threads: Threads, status: int, headers: dict[str, str]) -> None:
        super().__init__(self._send(), status, headers)
        self._pieces, self._threads = pieces, threads

    async def _send(self) -> AsyncIterator[bytes]:
        while piece := await self._threads.run(self._pieces.next):
            yield piece
            DOWNLOADED.inc(len(piece))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._threads.start(self._pieces.close)  # not awaited: this may be a cancellation


def _plausible(text: str) -> bool:
    return 0 < len(text) <= NAME_CHARACTERS_MAX and "\x00" not in text and "/" not in text


def _asked(request: Request) -> tuple[bool, str]:
    """Whether a link is wanted in place of the file, and the purpose. Raises ApiError 400."""
    refuse_unknown_parameters(request, {"redirect", "purpose"})
    wanted, purpose = request.query_params.get("redirect", "false"), request.query_params.get("purpose")
    wrong = [] if wanted in ("true", "false") else [Detail("redirect", "must be true or false")]
    wrong += line("purpose", purpose, audit.PURPOSE_MAX) if purpose is not None else []
    if wrong:
        raise invalid_request(*wrong)
    return wanted == "true" and request.method == "GET", purpose or ""


def create_router(downloads: Downloads, authenticator: Authenticator) -> APIRouter:
    router = APIRouter()
    downloader = Annotated[Principal, Depends(authenticator.requires("exports:download"))]
    reader = Annotated[Principal, Depends(authenticator.requires("exports:read"))]

    @router.api_route("/v1/exports/{export_id}/files/{name}", methods=["GET", "HEAD"], **operations.GET_FILE)
    async def get_file(request: Request, export_id: str, name: str, principal: downloader) -> Response:
        redirect, purpose = _asked(request)
        found = await downloads.find(principal.org_id, export_id, name)
        log.info("download", export_id=export_id, file=name, redirect=redirect)
        if redirect:
            location = await downloads.link(principal, export_id, name, found, purpose)
            return RedirectResponse(location, 307, headers={"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"})
        taking = Taking(principal.org_id, export_id, name, f"key:{principal.key_id}", principal.address, purpose)
        return await downloads.serve(request, taking, found)

    @router.api_route("/v1/downloads/{token}", methods=["GET", "HEAD"], **operations.FOLLOW_LINK)
    async def follow_link(request: Request, token: str) -> Response:
        refuse_unknown_parameters(request, set())
        claim = downloads.claim(token)
        found = await downloads.find(claim.org_id, claim.export_id, claim.name)
        log.info("download_by_link", org_id=claim.org_id, export_id=claim.export_id, file=claim.name)
        taking = Taking(claim.org_id, claim.export_id, claim.name, f"link:{claim.key_id}", address_of(request), claim.purpose)
        return await downloads.serve(request, taking, found)

    @router.api_route("/v1/exports/{export_id}/manifest", methods=["GET", "HEAD"], **operations.GET_MANIFEST)
    async def get_manifest(request: Request, export_id: str, principal: reader) -> Response:
        refuse_unknown_parameters(request, set())
        text, name = await downloads.manifest(principal.org_id, export_id)
        headers = {
            "X-Content-Type-Options": "nosniff", "Cache-Control": "private, no-cache, no-transform", "Content-Disposition": content_disposition(name),
        }  # fmt: skip
        return Response(text.encode(), 200, headers, "application/json")

    return router
