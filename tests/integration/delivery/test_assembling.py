"""From commands to files, a manifest and an event."""

import asyncio
import hashlib
import json
import random
import time
from dataclasses import replace

import pytest

from shared.digests import files_sha256
from shared.errors import PermanentError, TransientError
from shared.messages import ChunkFailed, ExportAssembled, ExportPublished, PublishFailed
from shared.storage import FileWriter
from tests.integration.delivery.room import Export, Room, message, progressed, until

MIB = 1 << 20


def check_published(export: Export, event: object, bodies: list[bytes]) -> None:
    """The file, the manifest and the event say the same."""
    expected = export.expected(bodies)
    assert isinstance(event, ExportPublished)
    (file,) = event.files
    assert export.room.content(export.key()) == expected
    assert (file.name, file.bytes, file.sha256) == (export.name(), len(expected), hashlib.sha256(expected).hexdigest())
    assert file.rows == sum(1 for b in bodies if b)
    manifest = json.loads(export.room.content(export.manifest_key))
    assert manifest["export_id"] == export.id
    (entry,) = manifest["files"]
    assert (entry["sha256"], entry["bytes"], entry["rows"]) == (file.sha256, file.bytes, file.rows)
    assert [p["sha256"] for p in entry["parts"]] == [hashlib.sha256(b).hexdigest() for b in bodies if b]


@pytest.mark.parametrize("sizes", [[], [0], [10], [6 * MIB, 6 * MIB, 10], [3, 0, 11 * MIB, 0, 5 * MIB, 12 * MIB, 7]])
async def test_a_bulk_file_is_assembled_while_its_parts_come(any_room: Room, sizes: list[int]) -> None:
    export = Export(any_room)
    bodies = [random.Random(n).randbytes(size) for n, size in enumerate(sizes)]
    parts = export.put_parts(bodies)
    async with any_room.process() as process:
        for part in parts[:-1]:
            await process.handler.handle(message(export.command([part], last=False)))
        await process.handler.handle(message(export.command(parts[-1:], last=True)))
        check_published(export, await any_room.event(export.id), bodies)


@pytest.mark.parametrize("bodies", [[b"a,b\r\n"], [b""], [b"1", b"2", b"3"]])
async def test_an_express_file_is_published_by_its_handler(any_room: Room, bodies: list[bytes]) -> None:
    export = Export(any_room, express=True)
    command = export.command(export.put_parts(bodies), last=True)
    async with any_room.process() as process:
        await process.handler.handle(message(command))
        (event,) = await any_room.events(export.id)
        check_published(export, event, bodies)


async def test_an_express_file_without_parts_goes_through_its_own_lane(room: Room) -> None:
    export = Export(room, express=True)
    async with room.process() as process:
        await process.handler.handle(message(export.command([], last=True)))
        check_published(export, await room.event(export.id), [])


async def test_commands_that_come_twice_and_late_have_one_effect(room: Room) -> None:
    export = Export(room)
    bodies = [b"one", b"two", b"three", b"four"]
    parts = export.put_parts(bodies)
    runs = [export.command(parts[:1], last=False), export.command(parts[1:3], last=False), export.command(parts[3:], last=True)]
    messages = [message(run, f"{export.id}/{place}") for place, run in enumerate(runs)]
    async with room.process() as process:
        for place in (2, 0, 2, 1, 0, 1):
            await process.handler.handle(messages[place])
        check_published(export, await room.event(export.id), bodies)
        for again in messages:
            await process.handler.handle(again)
        await process.handler.handle(message(runs[2]))  # even under another message id
    assert len(await room.events(export.id)) == 1


async def test_the_manifest_waits_for_every_file(room: Room) -> None:
    export = Export(room, files_total=3)
    csv, jsonl = export.put_parts([b"a", b"b"]), export.put_parts([b"{}", b"[]"], "jsonl")
    async with room.process() as process:
        await process.handler.handle(message(export.command(csv[:1], True, "csv", 1)))
        await process.handler.handle(message(export.command([replace(csv[1], number=1)], True, "csv", 2)))
        await until(lambda: asyncio.to_thread(room.there, export.key("csv", 2)))
        assert not room.there(export.manifest_key)
        assert await room.events(export.id) == []
        await process.handler.handle(message(export.command(jsonl, True, "jsonl", 1)))
        event = await room.event(export.id)
    assert isinstance(event, ExportPublished)
    assert [(f.format, f.number) for f in event.files] == [("jsonl", 1), ("csv", 1), ("csv", 2)]
    assert [f["name"] for f in json.loads(room.content(export.manifest_key))["files"]] == [f.name for f in event.files]


async def test_publishing_is_told_once_before_the_end_when_the_last_part_of_every_file_is_in(room: Room) -> None:
    export = Export(room, files_total=2)
    parts = export.put_parts([b"a", b"b"])
    store = BreaksOff(room)
    async with room.process(store) as process:  # type: ignore[arg-type]
        await process.handler.handle(message(export.command(parts[:1], True, "csv", 1)))
        await until(lambda: asyncio.to_thread(room.there, export.key("csv", 1)))
        assert await room.told(export.id) == []
        store.breaks = 1
        await process.handler.handle(message(export.command([replace(parts[1], number=1)], True, "csv", 2)))
        await room.event(export.id)
    assert store.breaks == 0, "the second file was completed at the second attempt"
    first, again, last = await room.told(export.id)
    assert first == again == ExportAssembled(export.id, export.org_id)
    assert isinstance(last, ExportPublished)
    ids = await room.pool.fetch("SELECT DISTINCT headers ->> 'message-id' AS id FROM delivery.outbox WHERE key = $1", export.id.encode())
    assert {r["id"] for r in ids} == {f"{export.id}/assembled", f"{export.id}/published"}, "a repeat is claimed once"


async def test_a_small_export_is_published_without_a_word_before(room: Room) -> None:
    export = Export(room, express=True)
    async with room.process() as process:
        await process.handler.handle(message(export.command(export.put_parts([b"a"]), True)))
    assert [type(event) for event in await room.told(export.id)] == [ExportPublished]


async def test_a_crash_in_the_middle_gives_the_same_file(any_room: Room) -> None:
    export = Export(any_room)
    bodies = [random.Random(n).randbytes(6 * MIB) for n in range(4)]
    parts = export.put_parts(bodies)
    async with any_room.process(lease_seconds=0.4) as first:
        await first.handler.handle(message(export.command(parts[:2], last=False)))
        await until(lambda: progressed(first.bulk, 3))
        first.crash()
        async with any_room.process(lease_seconds=0.4) as second:
            await second.handler.handle(message(export.command(parts[2:], last=True)))
            check_published(export, await any_room.event(export.id), bodies)


async def test_a_process_that_stops_hands_its_files_over_at_once(room: Room) -> None:
    export = Export(room)
    parts = export.put_parts([b"one", b"two"])
    async with room.process(lease_seconds=3600) as first:
        await first.handler.handle(message(export.command(parts[:1], last=False)))
        await until(lambda: progressed(first.bulk, 2))
    async with room.process(lease_seconds=3600) as second:
        await second.handler.handle(message(export.command(parts[1:], last=True)))
        check_published(export, await room.event(export.id), [b"one", b"two"])


@pytest.mark.parametrize("express", [True, False])
@pytest.mark.parametrize(
    ("damage", "code"), [("bytes", "part_corrupt"), ("sha256", "part_corrupt"), ("crc32", "part_corrupt"), ("missing", "part_missing")]
)
async def test_a_wrong_part_fails_the_export_and_nothing_is_published(any_room: Room, express: bool, damage: str, code: str) -> None:
    export = Export(any_room, express=express)
    parts = export.put_parts([b"good", b"better", b"best"])
    wrong = {
        "bytes": replace(parts[1], bytes=parts[1].bytes + 1), "sha256": replace(parts[1], sha256="0" * 64, crc32=None),
        "crc32": replace(parts[1], crc32=0), "missing": replace(parts[1], key=parts[1].key + "x"),
    }[damage]  # fmt: skip
    async with any_room.process() as process:
        await process.handler.handle(message(export.command([parts[0], wrong, parts[2]], last=True)))
        event = await any_room.event(export.id)
        assert isinstance(event, PublishFailed)
        assert event.code == code
        assert "Part 2 of 'leads_1.csv'" in event.message
        await until(lambda: any_room.gone(f"parts/{export.id}/"))
        await until(lambda: any_room.gone(f"files/{export.org_id}/{export.id}/"))
        await process.handler.handle(message(export.command(parts, last=True)))
    assert len(await any_room.events(export.id)) == 1
    assert await any_room.count("assemblies", export.id) == 0


async def test_a_manifest_that_is_no_json_fails_the_export(room: Room) -> None:
    for express in (True, False):
        export = Export(room, express=express)
        command = replace(export.command(export.put_parts([b"a"]), last=True), manifest="[")
        async with room.process() as process:
            await process.handler.handle(message(command))
            event = await room.event(export.id)
        assert isinstance(event, PublishFailed)
        assert event.code == "manifest_invalid"


@pytest.mark.parametrize("express", [True, False])
@pytest.mark.parametrize("same", [True, False])
async def test_a_rerun_is_published_only_where_every_byte_is_the_same(room: Room, express: bool, same: bool) -> None:
    export = Export(room, express=express)
    expected = export.expected([b"a", b"b" if same else b"c"])
    claim = {"export_id": "exp_0", "files_sha256": files_sha256([("csv", 1, len(expected), hashlib.sha256(expected).hexdigest())])}
    command = replace(
        export.command(export.put_parts([b"a", b"b"]), last=True), manifest=json.dumps({"export_id": export.id, "reproduces": claim})
    )
    async with room.process() as process:
        await process.handler.handle(message(command))
        event = await room.event(export.id)
        if same:
            check_published(export, event, [b"a", b"b"])
            assert json.loads(room.content(export.manifest_key))["reproduces"] == "exp_0"
            return
        assert isinstance(event, PublishFailed)
        assert event.code == "not_reproduced"
        await until(lambda: room.gone(f"files/{export.org_id}/{export.id}/"))


class Flaky:
    """A store that is away for a while."""

    def __init__(self, room: Room, failures: int, error: Exception) -> None:
        self._objects, self.left, self._error = room.objects, failures, error

    def __getattr__(self, name: str) -> object:
        return getattr(self._objects, name)

    def assemble(self, key: str, media_type: str) -> object:
        if self.left:
            self.left -= 1
            raise self._error
        return self._objects.assemble(key, media_type)


class BreaksOff(Flaky):
    """A store that is lost just before a file is completed."""

    def __init__(self, room: Room) -> None:
        super().__init__(room, 0, TransientError("The store: away", "store"))
        self.breaks = 0

    def assemble(self, key: str, media_type: str) -> object:
        return _Breaking(self, self._objects.assemble(key, media_type))


class _Breaking:
    def __init__(self, store: BreaksOff, writer: FileWriter) -> None:
        self._store, self._writer = store, writer

    def __getattr__(self, name: str) -> object:
        return getattr(self._writer, name)

    def complete(self) -> None:
        if self._store.breaks:
            self._store.breaks -= 1
            raise TransientError("The store: away", "store")
        self._writer.complete()


async def test_a_store_that_is_away_is_waited_for(room: Room) -> None:
    export = Export(room)
    flaky = Flaky(room, 2, TransientError("The store: away", "store"))
    async with room.process(flaky) as process:  # type: ignore[arg-type]
        await process.handler.handle(message(export.command(export.put_parts([b"a", b"b"]), last=True)))
        check_published(export, await room.event(export.id), [b"a", b"b"])
    assert flaky.left == 0
    express = Export(room, express=True)
    flaky.left = 1
    async with room.process(flaky) as process:  # type: ignore[arg-type]
        command = message(express.command(express.put_parts([b"a"]), last=True))
        with pytest.raises(TransientError):
            await process.handler.handle(command)
        assert await room.count("publications", express.id) == 0
        await process.handler.handle(command)
        check_published(express, await room.event(express.id), [b"a"])


async def test_a_store_that_refuses_fails_the_export(room: Room) -> None:
    for express in (True, False):
        export = Export(room, express=express)
        flaky = Flaky(room, 1, PermanentError("store_full", "The store is full: ENOSPC."))
        async with room.process(flaky) as process:  # type: ignore[arg-type]
            await process.handler.handle(message(export.command(export.put_parts([b"a"]), last=True)))
            event = await room.event(export.id)
        assert event == PublishFailed(export.id, export.org_id, "store_full", "The store is full: ENOSPC.")


async def test_small_files_do_not_wait_for_large_ones(room: Room) -> None:
    large = [Export(room, org_id="org_large") for _ in range(12)]  # more than the process keeps open
    async with room.process() as process:
        for export in large:
            await process.handler.handle(message(export.command(export.put_parts([b"x" * MIB]), last=False)))
        await until(lambda: _full(process.bulk))
        small = Export(room, express=True)
        began = time.monotonic()
        await process.handler.handle(message(small.command(small.put_parts([b"a"]), last=True)))
        assert len(await room.events(small.id)) == 1
        assert time.monotonic() - began < 1
        for export in large:
            await process.handler.handle(message(export.discard(files=True)))


async def _full(assembler: object) -> bool:
    return len(assembler._held) == 8  # type: ignore[attr-defined]


async def test_ten_thousand_tiny_parts(room: Room) -> None:
    export = Export(room)
    bodies = [b"%d\n" % n for n in range(10_000)]
    parts = await asyncio.to_thread(export.put_parts, bodies)
    async with room.process(lease_seconds=30) as process:
        for first in range(0, 10_000, 2_500):
            await process.handler.handle(message(export.command(parts[first : first + 2_500], last=first == 7_500)))
        await until(lambda: room.events(export.id), 60)
        check_published(export, await room.event(export.id), bodies)


NO_IDS = ("", ".", "..", "a/b", "../exp_1", "exp_1/", "a\x00", "é")  # as folders these would be others' too


async def test_what_is_no_command_is_a_dead_letter(room: Room) -> None:
    export = Export(room)
    async with room.process() as process:
        for wrong, code in (
            (replace(message(export.discard(True)), value=b"{}"), "undecodable"),
            (message(ChunkFailed(export.id, "org_a", 1, "x", "y")), "unexpected_message"),
            (message(replace(export.command([], last=True), files_total=0)), "invalid_command"),
            *(
                (message(replace(export.discard(True), **{name: wrong})), "invalid_command")
                for name in ("export_id", "org_id")
                for wrong in NO_IDS
            ),
        ):
            with pytest.raises(PermanentError) as caught:
                await process.handler.handle(wrong)
            assert caught.value.code == code
