"""The road of an export through export_request: accepted, planned, released, tracked, assembled, completed."""

import asyncio
import json
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg
import pytest

from services.export_request import planning, releasing
from shared.codec import encode
from shared.consumer import Incoming
from shared.errors import PermanentError
from shared.messages import ChunkFailed, FormatChunk, PublishFailed
from tests.conftest import Database
from tests.contract.export_request.conftest import LEADS, World, incoming, world_of


async def test_a_small_export_takes_one_express_chunk_and_completes(world: World) -> None:
    caller = await world.organisation(leads=7)
    export = await caller.ask(LEADS | {"labels": {"team": "sales"}})
    assert (export["status"], export["formats"], export["format"], export["request_id"]) == ("accepted", ["csv"], "csv", None)
    await world.planned()
    (chunk,) = world.chunks(sent := await world.outbox())
    assert [m.topic for m in sent if m.topic.startswith("export-chunks")] == ["export-chunks-express"]
    assert (chunk.rows, chunk.lower, chunk.upper, chunk.part_keys) == (
        7, None, ["2026-03-01T00:07:00.000000+00:00", "lead_000007"], {"csv": f"parts/{export['id']}/00000000.csv"},
    )  # fmt: skip
    await world.formatted(chunk)
    await world.outbox()
    (command,) = world.commands(export["id"])
    assert (command.name, command.last, command.files_total, command.express) == (f"leads_{export['id']}.csv", True, 1, True)
    assert [(p.number, p.rows) for p in command.parts] == [(1, 7)]
    manifest = json.loads(command.manifest)
    assert (manifest["export_id"], manifest["request"]["dataset"], manifest["excluded"]) == (export["id"], "leads", [])
    assert manifest["rows_planned"] == 7
    assert manifest["snapshot"] == chunk.snapshot
    await world.publish(export["id"])
    await world.outbox()
    done = await caller.get(export["id"])
    assert done["status"] == "completed"
    assert done["progress"] | {"eta_seconds": None} == {
        "rows_planned": 7, "rows_written": 7, "chunks_planned": 1, "chunks_done": 1, "percent": 100, "eta_seconds": None, "queue_position": None,
    }  # fmt: skip
    (file,) = done["files"]
    assert (file["rows"], file["format"], file["url"]) == (
        7,
        "csv",
        f"https://waybill.example/v1/exports/{export['id']}/files/{file['name']}",
    )
    assert done["manifest_url"] == f"https://waybill.example/v1/exports/{export['id']}/manifest"
    assert [e.event for e in world.events(export["id"])] == ["accepted", "started", "progress", "completed"]
    assert world.events(export["id"])[-1].data == done
    assert world.discards(export["id"]) == [False]


async def test_a_larger_export_goes_in_bulk_and_its_parts_follow_in_order(world: World) -> None:
    caller = await world.organisation(leads=35)
    export = await caller.ask(LEADS | {"format": "json"})
    await world.planned()
    sent = await world.outbox()
    chunks = world.chunks(sent)
    assert {m.topic for m in sent if m.topic.startswith("export-chunks")} == {"export-chunks"}
    assert [c.rows for c in chunks] == [10, 10, 10, 5]
    assert [c.lower for c in chunks[1:]] == [c.upper for c in chunks[:-1]]
    assert len({m.partition for m in sent if m.topic == "export-chunks"}) == 4
    assert (await caller.get(export["id"]))["progress"]["percent"] == 0
    for number in (2, 1):
        await world.formatted(chunks[number])
    await world.outbox()
    assert world.commands(export["id"]) == []
    await world.formatted(chunks[0])
    await world.outbox()
    (command,) = world.commands(export["id"])
    assert ([p.number for p in command.parts], command.last) == ([1, 2, 3], False)
    assert (command.head, command.separator, command.tail, command.empty) == (b"[\n", b",\n", b"\n]\n", b"[]\n")
    assert (await caller.get(export["id"]))["progress"]["percent"] == 85.7
    await world.formatted(chunks[3])
    await world.outbox()
    assert ([p.number for p in world.commands(export["id"])[-1].parts], world.commands(export["id"])[-1].last) == ([4], True)
    assert (await caller.get(export["id"]))["status"] == "assembling"
    await world.publish(export["id"])
    assert (await caller.get(export["id"]))["status"] == "completed"


async def test_an_export_without_rows_is_a_file_without_rows(world: World) -> None:
    caller = await world.organisation()
    export = await caller.ask({"dataset": "leads", "formats": ["csv", "json"], "compression": "gzip"})
    await world.planned()
    assert world.chunks(await world.outbox()) == []
    assert [(c.format, c.parts, c.last, c.files_total) for c in world.commands(export["id"])] == [
        ("csv", [], True, 2),
        ("json", [], True, 2),
    ]
    assert [c.name.removeprefix(f"leads_{export['id']}") for c in world.commands(export["id"])] == [".csv.gz", ".json.gz"]
    assert {c.media_type for c in world.commands(export["id"])} == {"application/gzip"}
    assert all(c.empty[:2] == b"\x1f\x8b" for c in world.commands(export["id"]))
    await world.publish(export["id"])
    done = await caller.get(export["id"])
    assert (done["status"], len(done["files"]), done["progress"]["percent"]) == ("completed", 2, 100)


async def test_files_are_cut_and_numbered_by_rows(world: World) -> None:
    caller = await world.organisation(leads=25)
    export = await caller.completed(LEADS | {"max_rows_per_file": 12})
    names = [f["name"] for f in export["files"]]
    assert names == [f"leads_{export['id']}_{n:04d}.csv" for n in (1, 2, 3)]
    assert [f["rows"] for f in export["files"]] == [12, 12, 1]
    commands = world.commands(export["id"])
    assert sorted(c.file_number for c in commands if c.last) == [1, 2, 3]
    assert [p.number for c in commands if c.file_number == 1 for p in c.parts] == [1, 2]
    one = await caller.completed(LEADS | {"max_rows_per_file": 25})
    assert [f["name"] for f in one["files"]] == [f"leads_{one['id']}.csv"]


async def test_publishing_is_seen_between_assembling_and_the_end(world: World) -> None:
    caller = await world.organisation(leads=15)
    export = await caller.ask()
    await world.planned()
    first, second = world.chunks(await world.outbox())
    await world.formatted(first)
    await world.assembled(caller.org_id, export["id"], "too early")
    assert (await caller.get(export["id"]))["status"] == "formatting"
    await world.formatted(second)
    assert (await caller.get(export["id"]))["status"] == "assembling"
    world.clock.forward(1)
    for _ in range(2):
        await world.assembled(caller.org_id, export["id"])
    seen = await caller.call("GET", f"/v1/exports/{export['id']}")
    assert (seen.json()["status"], "retry-after" in seen.headers) == ("publishing", True)
    assert [e["id"] for e in (await caller.call("GET", "/v1/exports?status=publishing")).json()["data"]] == [export["id"]]
    await world.outbox()
    assert [e.data["status"] for e in world.events(export["id"])][-1] == "publishing"
    await world.publish(export["id"])
    await world.assembled(caller.org_id, export["id"], "too late")
    assert (await caller.get(export["id"]))["status"] == "completed"


async def test_an_export_can_be_cancelled_while_it_is_published(world: World) -> None:
    caller = await world.organisation(leads=3)
    export = await caller.ask()
    await world.planned()
    (chunk,) = world.chunks(await world.outbox())
    await world.formatted(chunk)
    await world.assembled(caller.org_id, export["id"])
    assert (await caller.call("DELETE", f"/v1/exports/{export['id']}")).status_code == 202
    await world.outbox()
    await world.publish(export["id"])
    assert (await caller.get(export["id"]))["status"] == "cancelled"
    assert world.discards(export["id"]) == [True]


async def test_rows_that_differ_from_the_plan_never_complete(world: World) -> None:
    caller = await world.organisation(leads=5)
    first = await caller.ask()
    await world.planned()
    (chunk,) = world.chunks(await world.outbox())
    await world.formatted(chunk, rows=4)
    await world.outbox()
    failed = await caller.get(first["id"])
    assert (failed["status"], failed["error"]["code"], world.discards(first["id"])) == ("failed", "rows_mismatch", [True])
    second = await caller.ask()
    await world.planned()
    (chunk,) = world.chunks(await world.outbox())
    await world.formatted(chunk)
    await world.outbox()
    await world.publish(second["id"], rows=6)
    assert (await caller.get(second["id"]))["error"]["code"] == "rows_mismatch"


async def test_a_message_that_comes_again_has_no_effect(world: World) -> None:
    caller = await world.organisation(leads=15)
    export = await caller.ask()
    await world.planned()
    chunks = world.chunks(await world.outbox())
    for _ in range(2):
        await world.formatted(chunks[0])
    await world.formatted(chunks[0], message_id="another delivery of the same part")
    await world.outbox()
    assert (await caller.get(export["id"]))["progress"]["chunks_done"] == 1
    assert len(world.commands(export["id"])) == 1


@pytest.mark.parametrize("failure", [ChunkFailed, PublishFailed])
async def test_a_failure_ends_the_export_with_its_reason(world: World, failure: type[Any]) -> None:
    caller = await world.organisation(leads=3)
    export = await caller.ask()
    await world.planned()
    await world.outbox()
    more = {"number": 0} if failure is ChunkFailed else {}
    event = failure(export_id=export["id"], org_id=caller.org_id, code="store_full", message="The store is full.", **more)
    handler = world.parts.handlers.export_parts if failure is ChunkFailed else world.parts.handlers.export_files
    await handler(incoming("export-parts", event, "m1" + export["id"]))
    await world.outbox()
    failed = await caller.get(export["id"])
    assert (failed["status"], failed["error"]) == ("failed", {"code": "store_full", "message": "The store is full."})
    assert [e.event for e in world.events(export["id"])][-1] == "failed"
    assert world.discards(export["id"]) == [True]


async def test_what_changes_later_is_not_in_the_plan(world: World) -> None:
    caller = await world.organisation(leads=15)
    export = await caller.ask()
    await world.admin.execute("UPDATE ingest.leads SET ended = pg_current_xact_id() WHERE org_id = $1", caller.org_id)
    await world.planned()
    assert (await caller.get(export["id"]))["progress"]["rows_planned"] == 15


async def test_a_plan_goes_on_after_a_crash_where_it_stopped(world: World) -> None:
    caller = await world.organisation(leads=35)
    export = await caller.ask()
    await world.planned()
    await world.outbox()
    # As if the process had died after its first step: two chunks known, the lease has run out.
    await world.admin.execute("DELETE FROM exports.chunks WHERE export_id = $1 AND number >= 2", export["id"])
    await world.admin.execute(
        "UPDATE exports.exports SET planned = false, chunks_planned = 2, rows_planned = 20, lease_until = $2,"
        " planned_to = (SELECT upper FROM exports.chunks WHERE export_id = $1 AND number = 1) WHERE id = $1", export["id"], world.clock.now,
    )  # fmt: skip
    world.clock.forward(1)
    await world.planned()
    again = await world.admin.fetch("SELECT number, rows, position FROM exports.chunks WHERE export_id = $1 ORDER BY number", export["id"])
    assert [tuple(r) for r in again] == [(0, 10, 1), (1, 10, 2), (2, 10, 3), (3, 5, 4)]


async def test_chunks_in_flight_are_capped_and_organisations_take_turns(world: World) -> None:
    large, small = await world.organisation(leads=100), await world.organisation(leads=12)
    first = await large.ask()
    await world.planned()
    chunks = world.chunks(await world.outbox())
    assert [c.export_id for c in chunks] == [first["id"]] * 4
    second = await small.ask()
    await world.planned()
    assert world.chunks(await world.outbox()) == []
    assert (await small.get(second["id"]))["progress"]["queue_position"] == 1
    for chunk in chunks[:2]:
        await world.formatted(chunk)
    await world.planned()
    assert [c.export_id for c in world.chunks(await world.outbox())] == [second["id"], first["id"]]


async def test_an_express_export_does_not_wait_for_a_large_one(world: World) -> None:
    large, small = await world.organisation(leads=100), await world.organisation(leads=2)
    await large.ask()
    await world.planned()
    await world.outbox()
    export = await small.ask()
    await world.planned()
    assert [c.export_id for c in world.chunks(await world.outbox())] == [export["id"]]


async def test_a_cancelled_exports_chunks_free_their_slots(world: World) -> None:
    caller = await world.organisation(leads=100)
    first = await caller.ask()
    await world.planned()
    chunks = world.chunks(await world.outbox())
    second = await caller.ask()
    assert (await caller.call("DELETE", f"/v1/exports/{first['id']}")).status_code == 202
    await world.planned()
    assert {c.export_id for c in world.chunks(await world.outbox())} == {second["id"]}
    await world.formatted(chunks[0])  # a formatter that did not hear of it
    await world.outbox()
    assert (await caller.get(first["id"]))["status"] == "cancelled"
    assert world.discards(first["id"]) == [True, False]


async def test_trace_context_goes_from_the_request_to_the_last_event(world: World) -> None:
    caller = await world.organisation(leads=2)
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    answer = await caller.call("POST", "/v1/exports", json=LEADS, headers={"traceparent": f"00-{trace}-00f067aa0ba902b7-01"})
    await world.planned()
    sent = [m for m in await world.outbox() if m.key.startswith(answer.json()["id"])]
    assert sent
    assert all(trace in m.headers["traceparent"] for m in sent)


async def test_an_internal_message_that_cannot_be_read_is_a_dead_letter(world: World) -> None:
    with pytest.raises(PermanentError) as refused:
        await world.parts.handlers.export_parts(Incoming("export-parts", 0, 0, None, b"nonsense", ()))
    assert refused.value.code == "undecodable"
    with pytest.raises(PermanentError):
        await world.parts.handlers.export_parts(Incoming("export-parts", 0, 0, None, encode(PublishFailed("e", "o", "c", "m")), ()))


async def test_too_many_files_fail_with_their_reason(database: Database) -> None:
    async with world_of(database, chunk_rows_max=1000) as world:
        caller = await world.organisation(leads=1010)
        export = await caller.ask({"dataset": "leads", "formats": ["csv", "json"], "max_rows_per_file": 1})
        await world.planned()
        failed = await caller.get(export["id"])
        assert (failed["status"], failed["error"]["code"]) == ("failed", "too_many_files")
        assert await world.admin.fetchval("SELECT count(*) FROM exports.chunks") == 0


async def test_an_export_that_somebody_has_in_hand_waits_for_no_next_look(
    world: World, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Planner and releaser meet the row locked, by each other or by a chunk's end: whoever has it needn't tell them when it is free."""
    for loop in (planning, releasing):
        monkeypatch.setattr(loop, "POLL_SECONDS", 3_600.0)
    caller = await world.organisation(leads=35)
    holder = await asyncpg.connect(database.url)
    planner, releaser = world.parts.planner, world.parts.releaser
    looked: Counter[str] = Counter()

    def counted(name: str, look: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def looking(*args: Any) -> Any:
            found = await look(*args)
            looked[name] += 1
            return found

        return looking

    monkeypatch.setattr(planner, "claim", counted("claim", planner.claim))
    monkeypatch.setattr(releaser, "release", counted("release", releaser.release))
    await caller.ask(LEADS | {"format": "json"})
    while planned := [t for t in asyncio.all_tasks() if t.get_name().startswith("plan ")]:
        await asyncio.wait(planned)  # the first step: what follows is for the loops
    async with holder.transaction(), asyncio.timeout(60):
        await holder.execute("SELECT FROM exports.exports FOR UPDATE")
        loops = [asyncio.create_task(loop) for loop in (planner.run_next(), releaser.run())]
        while min(looked["claim"], looked["release"]) < 2:
            await asyncio.sleep(0.001)
        assert world.chunks(await world.outbox()) == []
    chunks: list[FormatChunk] = []
    async with asyncio.timeout(60):
        while sum(chunk.rows for chunk in chunks) < 35:
            await asyncio.sleep(0.001)
            chunks += world.chunks(await world.outbox())
    for task in loops:
        task.cancel()
    await asyncio.gather(*loops, return_exceptions=True)
    await holder.close()
