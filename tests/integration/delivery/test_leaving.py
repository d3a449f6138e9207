"""Callers that go away in the middle of a download, over a real socket."""

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import httpx
import uvicorn

from services.delivery.api import Downloads, create_router
from services.delivery.core import links
from services.delivery.threads import Threads
from shared.http import Authenticator, create_api
from shared.storage.names import PIECE_BYTES
from tests.integration.delivery.room import Export, NoRelay, Room, message, until

SECRET = "0123456789abcdef" * 4
MIB = 1 << 20


class Watched:
    """A store that counts the downloads that are open and the bytes that were read."""

    def __init__(self, room: Room) -> None:
        self._objects, self.open, self.pieces = room.objects, 0, 0

    def __getattr__(self, name: str) -> object:
        return getattr(self._objects, name)

    def read(self, key: str, start: int = 0, end: int | None = None, piece_bytes: int = PIECE_BYTES) -> Iterator[bytes]:
        self.open += 1
        try:
            for piece in self._objects.read(key, start, end):
                self.pieces += 1
                yield piece
        finally:
            self.open -= 1


@asynccontextmanager
async def served(room: Room, watched: Watched) -> AsyncIterator[httpx.AsyncClient]:
    threads = Threads(2, "download")
    app = create_api("delivery")
    app.include_router(create_router(Downloads(room.store, watched, threads, SECRET, "", NoRelay(room.pool)), Authenticator(room.pool)))  # type: ignore[arg-type]
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_config=None, lifespan="off", timeout_graceful_shutdown=1))
    server.capture_signals = contextlib.nullcontext  # type: ignore[method-assign,assignment]
    running = asyncio.create_task(server.serve())
    await until(lambda: _value(server.started))
    port = server.servers[0].sockets[0].getsockname()[1]
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=20) as client:
        yield client
    server.should_exit = True
    await running
    await threads.close()


async def _value(value: bool) -> bool:
    return value


async def test_reading_stops_when_the_caller_goes_and_waits_when_the_caller_is_slow(room: Room) -> None:
    export = Export(room)
    await export.keep()
    body = bytes(range(256)) * (64 * MIB // 256)
    async with room.process() as process:
        await process.handler.handle(message(export.command(export.put_parts([body]), last=True)))
        await room.event(export.id)
    path = f"/v1/downloads/{links.sign(SECRET, links.Claim(export.org_id, export.id, export.name(), 4_000_000_000))}"
    watched = Watched(room)
    async with served(room, watched) as client:
        async with client.stream("GET", path) as slow:
            pieces = slow.aiter_raw()
            await anext(pieces)
            await until(lambda: _value(watched.pieces > 1))
            await asyncio.gather(*(_leave(client, path) for _ in range(6)))  # more than there are threads
            assert watched.pieces < 64  # nobody reads ahead of a caller that doesn't take
        await until(lambda: _value(watched.open == 0))
        digest = hashlib.sha256()
        async with client.stream("GET", path) as whole:
            async for piece in whole.aiter_raw():
                digest.update(piece)
        assert digest.digest() == hashlib.sha256(export.expected([body])).digest()
        await until(lambda: _value(watched.open == 0))


async def _leave(client: httpx.AsyncClient, path: str) -> None:
    async with client.stream("GET", path) as answer:
        await anext(answer.aiter_raw())
