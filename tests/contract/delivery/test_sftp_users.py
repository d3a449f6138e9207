"""SFTP users over HTTP."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import httpx
import pytest
import pytest_asyncio
from asyncssh import generate_private_key

from services.delivery.sftp import users
from services.delivery.sftp.api import sftp_router
from services.delivery.sftp.host_keys import HostKeys
from services.delivery.sftp.store import SftpStore
from services.delivery.sftp.users import Users
from services.delivery.threads import Threads
from shared.clock import utc_now
from shared.codec import decode
from shared.http import Authenticator, create_api
from shared.messages import AuditEntry
from shared.sealing import SFTP_HOST_KEYS, Seal
from tests.contract.delivery.conftest import SECRET, error_code, make_key
from tests.integration.delivery.room import NoRelay, Room, until

OPERATOR = "operator-token-of-the-tests"
PATH = "/v1/sftp-users"


@dataclass
class Desk:
    client: httpx.AsyncClient
    keys: dict[str, str]
    room: Room

    async def ask(self, method: str, path: str, body: Any = None, key: str = "admin") -> httpx.Response:
        return await self.client.request(method, path, json=body, headers={"Authorization": f"Bearer {self.keys[key]}"})

    async def entries(self) -> list[AuditEntry]:
        rows = await self.room.pool.fetch("SELECT value FROM delivery.outbox WHERE topic = 'audit-entries' ORDER BY seq")
        return [decode(row["value"]) for row in rows]  # type: ignore[misc]


@pytest_asyncio.fixture(scope="module")
async def desk(room: Room) -> AsyncIterator[Desk]:
    store, hashes, outbox = SftpStore(room.pool), Threads(2, "hash"), NoRelay(room.pool)
    host_keys = HostKeys(store, Seal([SECRET], SFTP_HOST_KEYS), hashes, outbox, timedelta(days=14), utc_now)
    app = create_api("delivery")
    app.include_router(sftp_router(Users(store, hashes, outbox, utc_now), host_keys, Authenticator(room.pool), SECRET.encode(), OPERATOR))
    await host_keys.ensure()
    keys = {
        "admin": await make_key(room, "org_a", ["sftp:write"]), "reader": await make_key(room, "org_a", ["exports:read"]),
        "stranger": await make_key(room, "org_b", ["admin"]), "operator": OPERATOR,
    }  # fmt: skip
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://delivery.test") as client:
        yield Desk(client, keys, room)
    await hashes.close()


async def test_the_life_of_a_user(desk: Desk) -> None:
    key = generate_private_key("ssh-ed25519")
    line = key.export_public_key().decode().strip()
    made = await desk.ask("POST", PATH, {"username": "acme-fetch", "public_keys": [line], "allowed_networks": ["203.0.113.0/24"]})
    assert made.status_code == 201 and made.headers["cache-control"] == "no-store"
    user = made.json()
    password = user.pop("password")
    assert len(password) == 28
    assert user["public_keys"] == [{"fingerprint": key.get_fingerprint(), "type": "ssh-ed25519", "comment": ""}]
    assert made.headers["location"] == f"{PATH}/{user['id']}"
    assert (await desk.ask("GET", made.headers["location"])).json() == user
    assert user in (await desk.ask("GET", PATH)).json()["data"]

    changed = (await desk.ask("PATCH", f"{PATH}/{user['id']}", {"allowed_networks": []})).json()
    assert changed["allowed_networks"] == [] and changed["public_keys"] == user["public_keys"]
    reset = await desk.ask("POST", f"{PATH}/{user['id']}/reset-password")
    assert reset.status_code == 200 and reset.json()["password"] != password

    assert (await desk.ask("DELETE", f"{PATH}/{user['id']}")).status_code == 204
    assert (await desk.ask("GET", f"{PATH}/{user['id']}")).status_code == 404
    told = [e for e in await desk.entries() if e.subject == user["id"]]
    assert [e.action for e in told] == [f"sftp_user.{done}" for done in ("created", "changed", "password_reset", "deleted")]
    assert not any(password in e.details for e in told)
    assert json.loads(told[0].details)["public_keys"] == [key.get_fingerprint()]


async def test_passwords_are_kept_as_hashes_alone(desk: Desk) -> None:
    made = (await desk.ask("POST", PATH, {"username": "hashed"})).json()
    async with desk.room.pool.acquire() as connection:
        await connection.execute("SET ROLE none")
        kept = await connection.fetchval("SELECT row_to_json(u)::text FROM delivery.sftp_users u WHERE id = $1", made["id"])
        await connection.execute("RESET ROLE")
    assert made["password"] not in kept and made["password"].encode().hex() not in kept


async def test_a_name_is_taken_once_whatever_the_case_and_organisation(desk: Desk) -> None:
    assert (await desk.ask("POST", PATH, {"username": "Once"})).status_code == 201
    for key in ("admin", "stranger"):
        again = await desk.ask("POST", PATH, {"username": "once"}, key)
        assert again.status_code == 409 and error_code(again) == "conflict"


async def test_there_are_never_more_than_may_be_however_many_are_made_at_once(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(users, "USERS_MAX", 1)
    desk.keys["many"] = await make_key(desk.room, "org_many", ["sftp:write"])
    store, wanted = SftpStore(desk.room.pool), {"username": "many-1", "public_keys": [], "allowed_networks": []}
    async with store.transaction("org_many") as first:
        assert await store.count_users(first, "org_many") == 0
        second = asyncio.create_task(desk.ask("POST", PATH, {"username": "many-2"}, "many"))
        await until(lambda: desk.room.pool.fetch("SELECT FROM pg_locks WHERE NOT granted AND locktype = 'advisory'"))
        await store.add_user(first, "org_many", "sfu_many", wanted, b"-", utc_now())
    assert (await second).status_code == 409


@pytest.mark.parametrize(("method", "path"), [("GET", ""), ("PATCH", ""), ("DELETE", ""), ("POST", "/reset-password")])
async def test_another_organisations_user_is_not_there(desk: Desk, method: str, path: str) -> None:
    made = (await desk.ask("POST", PATH, {"username": f"theirs-{method}-{len(path)}"})).json()
    body = {} if method in ("PATCH", "POST") else None
    assert (await desk.ask(method, f"{PATH}/{made['id']}{path}", body, "stranger")).status_code == 404
    assert made["id"] not in (await desk.ask("GET", PATH, key="stranger")).text
    assert (await desk.ask("GET", f"{PATH}/{made['id']}")).status_code == 200


async def test_the_scope_is_asked_for(desk: Desk) -> None:
    answer = await desk.ask("POST", PATH, {"username": "x"}, "reader")
    assert answer.status_code == 403 and "sftp:write" in answer.text


async def test_pages(desk: Desk) -> None:
    for number in range(3):
        await desk.ask("POST", PATH, {"username": f"page-{number}"}, "stranger")
    first = (await desk.ask("GET", f"{PATH}?limit=2", key="stranger")).json()
    rest = (await desk.ask("GET", f"{PATH}?limit=100&cursor={first['next_cursor']}", key="stranger")).json()
    names = [user["username"] for user in first["data"] + rest["data"]]
    assert first["has_more"] and not rest["has_more"] and names[-3:] == ["page-0", "page-1", "page-2"] and len(set(names)) == len(names)


async def test_host_keys_are_announced_before_they_are_used(desk: Desk) -> None:
    before = (await desk.client.get("/v1/sftp-host-keys")).json()["data"]
    assert [(key["type"], key["status"]) for key in before] == [("ssh-ed25519", "used"), ("ssh-rsa", "used")]
    assert (await desk.ask("POST", "/v1/sftp-host-keys/rotate")).status_code == 401
    rotated = await desk.ask("POST", "/v1/sftp-host-keys/rotate", key="operator")
    assert rotated.status_code == 201
    after = rotated.json()["data"]
    assert after[:2] == before
    assert {(key["type"], key["status"]) for key in after[2:]} == {("ssh-ed25519", "announced"), ("ssh-rsa", "announced")}
