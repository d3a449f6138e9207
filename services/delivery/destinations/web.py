"""HTTP to destinations: guarded, bounded in time, silence and in what is read of answers; no redirects, no proxies, no cookies. Bodies are streamed."""

import asyncio
import contextlib
import socket
import ssl
import struct
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from yarl import URL

from services.delivery.core.destinations.answers import Answer
from services.delivery.core.destinations.problems import Code, Undelivered
from services.delivery.destinations.carrier import Parcel
from services.delivery.destinations.reaching import CONNECT_SECONDS, unreached
from services.delivery.guard import Guard
from shared.clock import utc_now
from shared.errors import TransientError
from shared.retry_after import retry_after_seconds

USER_AGENT = "Waybill-Destinations/1"
SILENCE_SECONDS = 60.0  # so long the other side may keep us waiting for anything
SILENCES_MAX = 10  # and ten times as long until all of its answer is there
KEEPALIVE_SECONDS = 3.0  # shorter than what servers commonly grant, so that no request goes into a connection that is being closed


@dataclass(frozen=True)
class Content:
    """What a request carries. `pieces` begins it anew each time: it may have to be sent again."""

    size: int
    sha256: str
    pieces: Callable[[], AsyncGenerator[bytes, None]] = field(repr=False)


@lru_cache(64)
def trusting(authorities: str | None = None) -> ssl.SSLContext:
    """Who is trusted: this machine's authorities, or those of a destination's own (PEM) alone."""
    return ssl.create_default_context(cadata=authorities)


# The connection of the request that this task makes.
_connected: ContextVar[asyncio.Transport | None] = ContextVar("connected", default=None)


class _Request(aiohttp.ClientRequest):
    """Tells which connection it goes over: closed as aiohttp does it, one whose other side reads nothing would stay until all was sent."""

    async def send(self, conn: Any) -> aiohttp.ClientResponse:
        _connected.set(conn.transport)
        return await super().send(conn)


class Web:
    """Must be made and used in one event loop. Owns the guard."""

    def __init__(self, guard: Guard, silence_seconds: float = SILENCE_SECONDS, clock: Callable[[], datetime] = utc_now) -> None:
        self._guard, self._silence_seconds, self._clock = guard, silence_seconds, clock
        self._session = aiohttp.ClientSession(
            connector=guard.connector(keepalive_timeout=KEEPALIVE_SECONDS), trust_env=False, auto_decompress=False, cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS), headers={"User-Agent": USER_AGENT}, read_bufsize=64 << 10,
            skip_auto_headers=("Accept-Encoding", "Content-Type"), request_class=_Request,
        )  # fmt: skip

    async def send(
        self, method: str, url: str, headers: Mapping[str, str], content: Content | bytes, answer_bytes_max: int, tls: ssl.SSLContext | None = None,
        silence_seconds: float = 0,
    ) -> Answer:  # fmt: skip
        """One request, and whatever it is answered. Raises Undelivered where it isn't, and what the reader of its content raises. `silence_seconds`: where a
        request is known to take longer."""
        silence = silence_seconds or self._silence_seconds
        body: _Body | None = None
        through = False
        _connected.set(None)
        try:
            async with asyncio.timeout(silence) as alive:
                body = _Body(content, alive, silence) if isinstance(content, Content) else None
                sent = {**headers, "Content-Length": str(content.size)} if isinstance(content, Content) else headers
                async with self._session.request(
                    method, URL(url, encoded=True), headers=sent, data=body.pieces() if body else content or None, ssl=tls or trusting(), allow_redirects=False
                ) as answer:  # fmt: skip
                    said = await _read(answer, answer_bytes_max, alive, silence)
                    if body is not None and not body.sent and answer.status < 300:
                        raise Undelivered(Code.disconnected, f"{_where(url)} answered {answer.status} before it had all of the file.")
                    through = body is None or body.sent
                    wait = retry_after_seconds(answer.headers.get("Retry-After"), self._clock())
                    return Answer(answer.status, answer.headers, said, wait)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            if body is not None and body.error is not None:
                raise body.error from None
            raise _problem(error, url, silence) from error
        finally:
            if not through:
                _end(_connected.get())
            if body is not None:
                await body.close()

    async def close(self) -> None:
        await self._session.close()
        await self._guard.close()


def _end(transport: asyncio.Transport | None) -> None:
    """At once, and so that the other side hears of it (RST): behind what it doesn't read, it wouldn't."""
    if transport is not None:
        with contextlib.suppress(OSError):  # it is closed already
            transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()


def _problem(error: Exception, url: str, silence: float) -> Undelivered:
    where = _where(url)
    if isinstance(error, aiohttp.InvalidURL):
        return Undelivered(Code.name_not_found, f"The name in {where} is not one that can be called.")
    if isinstance(error, aiohttp.ClientPayloadError | aiohttp.ClientResponseError):
        return Undelivered(Code.disconnected, f"The answer of {where} was cut short, or isn't HTTP.")
    return unreached(error, where, CONNECT_SECONDS if isinstance(error, aiohttp.ConnectionTimeoutError) else silence)


def _where(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.hostname}:{parts.port or (443 if parts.scheme == 'https' else 80)}"


class _Body:
    """What is sent, and how it went: a sign of life with each piece, and what our own side failed at."""

    def __init__(self, content: Content, alive: asyncio.Timeout, silence: float) -> None:
        self._content, self._alive, self._silence = content, alive, silence
        self._source = content.pieces()
        self._reading = False
        self.sent = False  # all of it
        self._failed: Exception | None = None

    @property
    def error(self) -> Exception | None:
        """What our own side failed at, or that it was waited for in vain."""
        return TransientError("The file's bytes don't come", "store") if self._reading and self._failed is None else self._failed

    async def pieces(self) -> AsyncIterator[bytes]:
        """Raises where it is not as long as was said: the other side would wait for the rest."""
        left = self._content.size
        try:
            while piece := await self._next():
                left -= len(piece)
                yield piece
            if left:
                raise TransientError("The file is shorter than it was", "store")
            self.sent = True
        except Exception as error:
            self._failed = error
            raise

    async def _next(self) -> bytes:
        self._goes_on()
        self._reading = True
        piece = await anext(self._source, b"")
        self._reading = False
        self._goes_on()
        return piece

    def _goes_on(self) -> None:
        if not self._alive.expired():
            self._alive.reschedule(asyncio.get_running_loop().time() + self._silence)

    async def close(self) -> None:
        with contextlib.suppress(RuntimeError):  # it is being read at this moment, by a request that is being taken down: it ends by that
            await self._source.aclose()


async def _read(answer: aiohttp.ClientResponse, bytes_max: int, alive: asyncio.Timeout, silence: float) -> bytes:
    """The body, up to a bound: a longer one is cut off by closing the connection. Blanks that keep a connection alive are a sign of life, for a while."""
    body, loop = bytearray(), asyncio.get_running_loop()
    last = loop.time() + SILENCES_MAX * silence
    while piece := await answer.content.readany():
        body += piece
        if len(body) > bytes_max:
            answer.close()
            break
        alive.reschedule(min(loop.time() + silence, last))
    return bytes(body[:bytes_max]).strip()


async def pieces_of(parcel: Parcel, start: int, size: int) -> AsyncGenerator[bytes, None]:
    """The bytes [start, start + size) of a file."""
    source, left = parcel.read(start), size
    try:
        async for piece in source:
            taken = piece[:left]
            left -= len(taken)
            if taken:
                yield taken
            if not left:
                return
    finally:
        if close := getattr(source, "aclose", None):
            await close()


def whole(parcel: Parcel) -> Content:
    return Content(parcel.size, parcel.sha256, lambda: pieces_of(parcel, 0, parcel.size))


def content_of(data: bytes, sha256: str) -> Content:
    """Bytes that are held, in pieces: so that each that is taken is a sign of life."""

    async def pieces() -> AsyncGenerator[bytes, None]:
        for start in range(0, len(data), 1 << 20):
            yield data[start : start + (1 << 20)]

    return Content(len(data), sha256, pieces)
