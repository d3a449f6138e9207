"""Files under a password: encrypted once, begun again after a crash, never written without, never overwritten once published."""

import asyncio
import hashlib
import io
import json
import secrets
from typing import Any

import pytest
import pyzipper

from shared.messages import ExportPublished, PublishFailed
from shared.sealing import FILE_PASSWORDS, Seal
from tests.integration.delivery.room import SECRET_KEY, Export, Room, message, progressed, until

PASSWORD = "Abcd1234"  # pragma: allowlist secret


async def protect(export: Export, password: str | None = PASSWORD, owner: str = "") -> None:
    """The export as export_request has it; without a password, it has been wiped."""
    await export.keep("assembling")
    async with export.room.pool.acquire() as connection:
        await connection.execute("RESET SESSION AUTHORIZATION; SET ROLE none")
        await connection.execute("UPDATE exports.exports SET protected = true WHERE id = $1", export.id)
        if password is not None:
            sealed = Seal([SECRET_KEY], FILE_PASSWORDS).seal(password.encode(), owner or export.id)
            await connection.execute("INSERT INTO exports.passwords VALUES ($1, $2, $3)", export.id, export.org_id, sealed)
        await connection.execute("RESET ROLE")


async def published(export: Export) -> bytes:
    """The file that a caller downloads."""
    found = await export.room.store.find_file(export.org_id, export.id, export.name())
    assert found is not None
    assert found.key is not None
    return export.room.content(found.key)


def opened(packed: bytes, password: str = PASSWORD) -> tuple[str, bytes]:
    with pyzipper.AESZipFile(io.BytesIO(packed)) as archive:
        (name,) = archive.namelist()
        return name, archive.read(name, password.encode())


@pytest.mark.parametrize("express", [True, False])
async def test_what_is_published_is_a_zip_of_the_file(any_room: Room, express: bool) -> None:
    export = Export(any_room, express=express)
    await protect(export)
    bodies = [secrets.token_bytes(200_000), b"", b"b" * 3_000_000, b"c"]
    async with any_room.process() as process:
        await process.handler.handle(message(export.command(export.put_parts(bodies), last=True)))
        event = await any_room.event(export.id)
    assert isinstance(event, ExportPublished)
    packed = await published(export)
    assert opened(packed) == (export.name(), export.expected(bodies))
    file = event.files[0]
    assert (file.rows, file.bytes, file.sha256) == (3, len(packed), hashlib.sha256(packed).hexdigest())
    manifest = json.loads(any_room.content(export.manifest_key))
    (part,) = manifest["files"][0]["parts"]
    assert (part["bytes"], part["sha256"], part["first_key"], part["last_key"]) == (len(packed), file.sha256, "k1", "l4")
    assert hashlib.sha256(bodies[2]).hexdigest() not in json.dumps(manifest)
    assert not any_room.there(export.key())  # nothing lies there unencrypted


async def test_a_file_without_rows_is_encrypted_too(any_room: Room) -> None:
    export = Export(any_room)
    await protect(export)
    async with any_room.process() as process:
        await process.handler.handle(message(export.command([], last=True)))
        await any_room.event(export.id)
    assert opened(await published(export)) == (export.name(), export.empty)


async def test_a_crash_in_the_middle_begins_the_file_again(any_room: Room) -> None:
    export = Export(any_room)
    await protect(export)
    bodies = [secrets.token_bytes(6_000_000), b"second"]
    first, second = (export.put_parts([body], first=n) for n, body in enumerate(bodies, 1))
    async with any_room.process() as process:
        await process.handler.handle(message(export.command(first, last=False)))
        await until(lambda: progressed(process.bulk, 2))
        process.crash()
    async with any_room.process() as process:
        await process.handler.handle(message(export.command(second, last=True)))
        event = await any_room.event(export.id)
    assert isinstance(event, ExportPublished)
    assert opened(await published(export)) == (export.name(), export.expected(bodies))


async def test_a_slow_process_does_not_overwrite_what_was_published(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its lease is gone, its file complete a moment too late: the other one's stays, byte for byte, and its own goes."""
    export = Export(room)
    await protect(export)
    parts = export.put_parts([b"the rows"])
    async with room.process() as slow:
        held: dict[str, Any] = {}
        may_go_on, finish = asyncio.Event(), slow.bulk._finish

        async def late(lease: Any, written: Any) -> None:
            held["key"] = written.key
            await may_go_on.wait()
            await finish(lease, written)

        monkeypatch.setattr(slow.bulk, "_finish", late)
        await slow.handler.handle(message(export.command(parts, last=True)))
        await until(lambda: _value("key" in held))
        async with room.pool.acquire() as connection:
            await connection.execute("RESET SESSION AUTHORIZATION; SET ROLE none")
            await connection.execute("UPDATE delivery.assemblies SET lease_by = NULL, lease_until = NULL WHERE export_id = $1", export.id)
            await connection.execute("RESET ROLE")
        async with room.process() as quick:
            await room.event(export.id)
            packed = await published(export)
            may_go_on.set()
            await until(lambda: _value(not room.there(held["key"])))
            assert quick.bulk is not slow.bulk
    assert await published(export) == packed
    assert opened(packed) == (export.name(), export.expected([b"the rows"]))


async def _value(value: bool) -> bool:
    return value


@pytest.mark.parametrize("express", [True, False])
@pytest.mark.parametrize(("password", "owner"), [(None, ""), (PASSWORD, "exp_another")])
async def test_without_its_password_nothing_is_written(room: Room, express: bool, password: str | None, owner: str) -> None:
    export = Export(room, express=express)
    await protect(export, password, owner)
    async with room.process() as process:
        await process.handler.handle(message(export.command(export.put_parts([b"secret rows"]), last=True)))
        event = await room.event(export.id)
        assert isinstance(event, PublishFailed)
        assert event.code == "password_lost"
        await until(lambda: room.gone(f"files/{export.org_id}/{export.id}/"))
