"""A door in front of a real store or receiver: it lets requests through, or does to one of them what networks and servers do."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohttp
from aiohttp import web
from yarl import URL

ESTABLISHED = 1  # of TCP_INFO
HOP = {"connection", "keep-alive", "transfer-encoding", "te", "upgrade"}


@dataclass(frozen=True)
class Asked:
    """A request, before its body."""

    method: str
    url: str
    headers: Mapping[str, str]

    def is_part(self) -> bool:
        return self.method == "PUT" and "partNumber=" in self.url


@dataclass(frozen=True)
class Answered:
    """Say this instead. `reading`: after the whole body came."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    reading: bool = True


@dataclass(frozen=True)
class Cut:
    """End the connection after so many bytes of the body."""

    after: int = 0


@dataclass(frozen=True)
class LostAnswer:
    """Let it through, and end the connection in place of its answer."""


@dataclass(frozen=True)
class Hang:
    """Read nothing more after so many bytes, and say nothing."""

    after: int = 0


Fate = Answered | Cut | LostAnswer | Hang | None


class Door:
    """`fate` decides what becomes of each request; by itself all get through. `open`: requests that are on their way."""

    def __init__(self, target: str) -> None:
        self.target = target.rstrip("/")
        self.fate: Callable[[Asked], Fate] = lambda asked: None
        self.asked: list[Asked] = []
        self.open, self.closed = 0, asyncio.Event()
        self.url = ""

    def count(self, method: str, part: str = "") -> int:
        return sum(each.method == method and part in each.url for each in self.asked)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        asked = Asked(request.method, request.raw_path, request.headers)
        self.asked.append(asked)
        self.open += 1
        try:
            return await self._meet(request, self.fate(asked))
        finally:
            self.open -= 1
            self.closed.set()

    async def _meet(self, request: web.Request, fate: Fate) -> web.StreamResponse:
        match fate:
            case Answered():
                if fate.reading:
                    await request.content.read()
                return web.Response(status=fate.status, headers=dict(fate.headers), body=fate.body)
            case Cut():
                await _some(request, fate.after)
                return _cut(request)
            case Hang():
                await _some(request, fate.after)
                await _gone(request)
                return _cut(request)
            case LostAnswer():
                await self._through(request)
                return _cut(request)
            case _:
                return await self._through(request)

    async def _through(self, request: web.Request) -> web.Response:
        headers = {name: value for name, value in request.headers.items() if name.lower() not in HOP}
        body = await request.content.read()
        async with aiohttp.ClientSession(
            auto_decompress=False, skip_auto_headers=("Content-Type", "Accept-Encoding", "User-Agent")
        ) as session:
            target = URL(self.target + request.raw_path, encoded=True)
            async with session.request(request.method, target, headers=headers, data=body or None, allow_redirects=False) as answer:
                kept = {name: value for name, value in answer.headers.items() if name.lower() not in HOP}
                return web.Response(status=answer.status, headers=kept, body=None if request.method == "HEAD" else await answer.read())


async def _some(request: web.Request, size: int) -> None:
    while size > 0 and (piece := await request.content.read(min(size, 64 << 10))):
        size -= len(piece)


async def _gone(request: web.Request) -> None:
    """Until the other side has given up. Asked of the kernel: a server that reads nothing isn't told."""
    while (transport := request.transport) is not None and not transport.is_closing():
        if transport.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] != ESTABLISHED:
            return
        await asyncio.sleep(0.02)


def _cut(request: web.Request) -> web.Response:
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


@asynccontextmanager
async def serving(handle: Callable[[web.Request], object], tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """An HTTP server on loopback; its URL."""
    runner = web.ServerRunner(web.Server(handle, access_log=None), shutdown_timeout=0.1)  # type: ignore[arg-type]
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
    await site.start()
    try:
        port = site._server.sockets[0].getsockname()[1]  # type: ignore[union-attr]
        yield f"{'https' if tls else 'http'}://127.0.0.1:{port}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def door_to(target: str) -> AsyncIterator[Door]:
    door = Door(target)
    async with serving(door.handle) as door.url:
        yield door
