"""What is thrown away: parts once their file is published, everything of an export that is discarded, and what nobody owns."""

import random

from services.delivery.store import Lease
from services.delivery.writing import Written
from shared.errors import TransientError
from tests.integration.delivery.room import Export, Room, idle, message, progressed, until

MIB = 1 << 20


async def test_parts_go_once_published_and_all_goes_when_discarded(any_room: Room) -> None:
    export = Export(any_room)
    async with any_room.process() as process:
        await process.handler.handle(message(export.command(export.put_parts([b"a", b"b"]), last=True)))
        await any_room.event(export.id)
        await process.handler.handle(message(export.discard(files=False)))
        await until(lambda: any_room.gone(f"parts/{export.id}/"))
        assert any_room.there(export.key())
        assert any_room.there(export.manifest_key)
        assert await any_room.count("assembly_parts", export.id) == 0
        discard = message(export.discard(files=True))
        await process.handler.handle(discard)
        await process.handler.handle(discard)
        await until(lambda: any_room.gone(f"files/{export.org_id}/{export.id}/"))
        export.put_parts([b"of a formatter that did not hear of it"])
        await process.handler.handle(message(export.discard(files=False)))
        await until(lambda: any_room.gone(f"parts/{export.id}/"))
    assert await any_room.count("assemblies", export.id) == 0


async def test_a_commit_whose_answer_was_lost_takes_no_published_file_back(any_room: Room) -> None:
    """The file is said to be whole once more, after it was published and its parts were told to go."""
    export, said = Export(any_room), 0
    async with any_room.process() as process:
        finish = process.bulk._finish

        async def finish_unheard(lease: Lease, written: Written) -> None:
            nonlocal said
            said += 1
            await finish(lease, written)
            if said == 1:
                await any_room.event(export.id)
                await process.handler.handle(message(export.discard(files=False)))
                await until(lambda: any_room.gone(f"parts/{export.id}/"))
                raise TransientError("the connection was lost before the answer", "PostgreSQL")

        process.bulk._finish = finish_unheard  # type: ignore[method-assign]
        await process.handler.handle(message(export.command(export.put_parts([b"a", b"b"]), last=True)))
        await until(lambda: _true(said == 2))
        await until(lambda: idle(process.bulk))
    assert any_room.there(export.key())
    assert any_room.there(export.manifest_key)


async def test_an_export_cancelled_in_the_middle_leaves_nothing(any_room: Room) -> None:
    export = Export(any_room)
    parts = export.put_parts([random.Random(n).randbytes(6 * MIB) for n in range(2)])
    async with any_room.process(lease_seconds=0.4) as process:
        await process.handler.handle(message(export.command(parts, last=False)))
        await until(lambda: progressed(process.bulk, 3))
        await process.handler.handle(message(export.discard(files=True)))
        await until(lambda: any_room.gone(f"parts/{export.id}/"))
        await until(lambda: idle(process.bulk))
        await process.handler.handle(message(export.command([], last=True)))
    assert await any_room.gone(f"files/{export.org_id}/{export.id}/")
    assert await any_room.events(export.id) == []
    assert await any_room.count("assemblies", export.id) == 0


async def _true(value: bool) -> bool:
    return value


async def test_parts_of_zombies_are_swept_on_the_second_round(room: Room) -> None:
    running, ended, unknown = Export(room), Export(room), Export(room)
    await running.keep("formatting")
    await ended.keep("cancelled")
    for export in (running, ended, unknown):
        export.put_parts([b"late"])
    async with room.process() as process:
        assert await process.janitor.sweep() >= 0
        assert room.there(f"parts/{ended.id}/00000001.csv")
        assert await process.janitor.sweep() >= 2
    assert room.there(f"parts/{running.id}/00000001.csv")
    assert not room.there(f"parts/{ended.id}/00000001.csv")
    assert not room.there(f"parts/{unknown.id}/00000001.csv")
