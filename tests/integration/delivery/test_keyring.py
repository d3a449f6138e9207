"""The signing keys on a real PostgreSQL: made once, sealed, rotated at once everywhere, revoked."""

import asyncio
import json
from collections.abc import AsyncIterator

import httpx
import pytest
import pytest_asyncio

from services.delivery.api_keys import keys_router
from services.delivery.keyring import Keyring
from shared.errors import TransientError
from shared.http import create_api
from shared.messages import ExportPublished
from shared.signing import KEYS_PATH, SignatureProblem, check, from_jwks
from tests.integration.delivery.room import SIGNING_SECRET, Export, NoRelay, Room, message

OPERATOR = {"Authorization": "Bearer the-operator"}


@pytest_asyncio.fixture
async def http(room: Room) -> AsyncIterator[httpx.AsyncClient]:
    """Keys of the test's own."""
    await _as_owner(room, "TRUNCATE delivery.signing_keys")
    room.keyring = Keyring(room.pool, SIGNING_SECRET, NoRelay(room.pool))
    api = create_api("keys")
    api.include_router(keys_router(room.keyring, "the-operator"))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(api), base_url="http://delivery.test") as client:
        yield client


async def _as_owner(room: Room, sql: str) -> list[dict[str, object]]:
    async with room.pool.acquire() as connection:
        await connection.execute("RESET SESSION AUTHORIZATION; SET ROLE none")
        rows = await connection.fetch(sql)
        await connection.execute("RESET ROLE")
    return [dict(row) for row in rows]


async def _manifest(room: Room, express: bool = True) -> dict[str, object]:
    export = Export(room, express=express)
    async with room.process() as process:
        await process.handler.handle(message(export.command(export.put_parts([b"a", b"b"]), last=True)))
        assert isinstance(await room.event(export.id), ExportPublished)
    loaded: dict[str, object] = json.loads(room.content(export.manifest_key))
    return loaded


async def _keys(http: httpx.AsyncClient) -> dict[str, object]:
    answer = await http.get(KEYS_PATH)
    assert answer.status_code == 200
    assert "max-age" in answer.headers["cache-control"]
    return from_jwks(answer.json())  # type: ignore[return-value]


@pytest.mark.parametrize("express", [True, False])
async def test_the_first_manifest_finds_a_key_and_verifies_with_what_is_published(
    room: Room, http: httpx.AsyncClient, express: bool
) -> None:
    manifest = await _manifest(room, express)
    keys = await _keys(http)
    assert check(manifest, keys).id == manifest["signature"]["key_id"]  # type: ignore[arg-type,index]
    with pytest.raises(SignatureProblem) as wrong:
        check(manifest | {"snapshot": "2:2:"}, keys)  # type: ignore[arg-type]
    assert wrong.value.code == "signature_wrong"


async def test_processes_that_start_together_make_one_key(room: Room, http: httpx.AsyncClient) -> None:
    await asyncio.gather(*(Keyring(room.pool, SIGNING_SECRET, NoRelay(room.pool)).ensure() for _ in range(8)))
    assert len(await _keys(http)) == 1


async def test_a_rotated_key_signs_no_more_and_what_it_signed_still_verifies(room: Room, http: httpx.AsyncClient) -> None:
    before = await _manifest(room)
    made = await http.post("/v1/signing-keys/rotate", headers=OPERATOR)
    assert made.status_code == 201
    assert made.json()["retired"] == before["signature"]["key_id"]  # type: ignore[index]
    after = await _manifest(room)
    assert after["signature"]["key_id"] == made.json()["id"]  # type: ignore[index]
    keys = await _keys(http)
    for manifest in (before, after):
        check(manifest, keys)  # type: ignore[arg-type]
    listed = (await http.get("/v1/signing-keys", headers=OPERATOR)).json()["data"]
    assert [key["status"] for key in listed] == ["current", "retired"]
    rows = await _as_owner(
        room, "SELECT sealed IS NULL AS wiped, retired_at IS NULL AS current FROM delivery.signing_keys ORDER BY created_at"
    )
    assert rows == [{"wiped": True, "current": False}, {"wiped": False, "current": True}]


async def test_another_process_signs_with_the_new_key_at_once(room: Room, http: httpx.AsyncClient) -> None:
    await _manifest(room)  # this process has opened its key
    made, _ = await Keyring(room.pool, SIGNING_SECRET, NoRelay(room.pool)).rotate()
    assert (await _manifest(room))["signature"]["key_id"] == made  # type: ignore[index]


async def test_rotations_at_the_same_time_leave_one_key(room: Room, http: httpx.AsyncClient) -> None:
    answers = await asyncio.gather(*(http.post("/v1/signing-keys/rotate", headers=OPERATOR) for _ in range(6)))
    assert {a.status_code for a in answers} == {201}
    listed = (await http.get("/v1/signing-keys", headers=OPERATOR)).json()["data"]
    assert [key["status"] for key in listed].count("current") == 1
    assert len(listed) == 6


async def test_what_a_revoked_key_signed_does_not_count(room: Room, http: httpx.AsyncClient) -> None:
    manifest = await _manifest(room)
    key_id = manifest["signature"]["key_id"]  # type: ignore[index]
    current = await http.post(f"/v1/signing-keys/{key_id}/revoke", headers=OPERATOR)
    assert (current.status_code, current.json()["error"]["code"]) == (409, "conflict")
    await http.post("/v1/signing-keys/rotate", headers=OPERATOR)
    assert (await http.post(f"/v1/signing-keys/{key_id}/revoke", headers=OPERATOR)).status_code == 204
    assert (await http.post("/v1/signing-keys/nobody/revoke", headers=OPERATOR)).status_code == 404
    with pytest.raises(SignatureProblem) as revoked:
        check(manifest, await _keys(http))  # type: ignore[arg-type]
    assert revoked.value.code == "signature_key_revoked"


async def test_under_another_secret_nothing_is_signed_until_the_operator_rotates(room: Room, http: httpx.AsyncClient) -> None:
    await _manifest(room)
    stranger = room.keyring = Keyring(room.pool, "another secret " * 4, NoRelay(room.pool))
    with pytest.raises(TransientError, match="rotate"):
        await stranger.check()
    export = Export(room, express=True)
    command = message(export.command(export.put_parts([b"a"]), last=True))
    async with room.process() as process:
        with pytest.raises(TransientError):
            await process.handler.handle(command)
        assert await room.told(export.id) == []
        await stranger.rotate()
        await stranger.check()
        await process.handler.handle(command)
    check(json.loads(room.content(export.manifest_key)), await _keys(http))  # type: ignore[arg-type]


async def test_only_the_operator_may_and_private_keys_are_nowhere_to_be_had(room: Room, http: httpx.AsyncClient) -> None:
    await room.keyring.ensure()
    for method, path in (("GET", "/v1/signing-keys"), ("POST", "/v1/signing-keys/rotate"), ("POST", "/v1/signing-keys/x/revoke")):
        assert (await http.request(method, path)).status_code == 401
        assert (await http.request(method, path, headers={"Authorization": "Bearer sk_live_x"})).status_code == 401
    assert (await http.get(f"{KEYS_PATH}?a=1")).status_code == 400
    assert (await http.post("/v1/signing-keys/rotate", headers=OPERATOR, content=b'{"a":1}')).status_code == 400
    signer = await room.keyring.signer(None)
    (row,) = await _as_owner(room, "SELECT sealed FROM delivery.signing_keys")
    assert signer.private not in bytes(row["sealed"])  # type: ignore[arg-type]
    assert signer.private.hex() not in repr(signer)
    for role in ("export_request", "formatter", "ingest", "dispatcher"):
        (allowed,) = await _as_owner(room, f"SELECT has_table_privilege('waybill_{role}', 'delivery.signing_keys', 'SELECT') AS may")
        assert allowed["may"] is False
