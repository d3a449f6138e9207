"""Delivery's HTTP over real PostgreSQL and both stores."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass

import httpx
import pytest_asyncio

from services.delivery.api import Downloads, create_router
from services.delivery.threads import Threads
from shared.http import Authenticator, create_api, new_key
from tests.integration.delivery.conftest import any_room, room
from tests.integration.delivery.room import Export, NoRelay, Room, message

__all__ = ["any_room", "room"]
SECRET = "0123456789abcdef" * 4


@dataclass
class Site:
    """An API with two organisations' keys, and published exports to ask for."""

    room: Room
    client: httpx.AsyncClient
    keys: dict[str, str]

    async def get(self, path: str, key: str = "all", method: str = "GET", **headers: str) -> httpx.Response:
        return await self.client.request(method, path, headers={"Authorization": f"Bearer {self.keys[key]}", **headers})

    async def published(self, bodies: list[bytes]) -> Export:
        export = Export(self.room, express=True)
        await export.keep()
        async with self.room.process() as process:
            await process.handler.handle(message(export.command(export.put_parts(bodies), last=True)))
        return export


async def make_key(room: Room, org_id: str, scopes: list[str]) -> str:
    key_id, key, hashed = new_key()
    async with room.pool.acquire() as connection:
        await connection.execute("SET ROLE none")
        await connection.execute("INSERT INTO tenancy.organisations (org_id, name) VALUES ($1, $1) ON CONFLICT DO NOTHING", org_id)
        await connection.execute(
            "INSERT INTO tenancy.api_keys (id, org_id, name, hash, scopes) VALUES ($1, $2, 'test', $3, $4)", key_id, org_id, hashed, scopes
        )
        await connection.execute("RESET ROLE")
    return key


@pytest_asyncio.fixture(scope="module")
async def site(any_room: Room) -> AsyncIterator[Site]:
    threads = Threads(4, "download")
    app = create_api("delivery")
    downloads = Downloads(any_room.store, any_room.objects, threads, SECRET, "http://public.test", NoRelay(any_room.pool))
    app.include_router(create_router(downloads, Authenticator(any_room.pool)))
    keys = {
        "all": await make_key(any_room, "org_a", ["exports:read", "exports:download"]),
        "reader": await make_key(any_room, "org_a", ["exports:read"]),
        "downloader": await make_key(any_room, "org_a", ["exports:download"]),
        "stranger": await make_key(any_room, "org_b", ["admin"]),
    }
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://delivery.test") as client:
        yield Site(any_room, client, keys)
    await threads.close()


def error_code(answer: httpx.Response) -> str:
    return str(json.loads(answer.content)["error"]["code"])
