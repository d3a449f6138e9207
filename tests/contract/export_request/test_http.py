"""The HTTP contract of exports: asking, repeating, watching, listing, cancelling, deleting, and what is refused."""

import asyncio
import json
from typing import Any

import httpx
import pytest

from tests.contract.export_request.conftest import LEADS, Caller, World


def details(answer: Any) -> list[str]:
    return [d["field"] for d in answer.json()["error"]["details"]]


async def test_acceptance_says_where_to_look_and_when(world: World) -> None:
    caller = await world.organisation()
    answer = await caller.call("POST", "/v1/exports", json=LEADS)
    export = answer.json()
    assert (answer.status_code, answer.headers["location"]) == (202, f"/v1/exports/{export['id']}")
    assert int(answer.headers["retry-after"]) >= 1
    assert export["request"] == LEADS
    assert set(export) == {
        "id", "request_id", "rerun_of", "schedule_id", "dataset", "formats", "format", "status", "request", "progress", "created_at", "started_at", "completed_at",
        "expires_at", "files", "manifest_url", "excluded", "error", "approval", "hold",
    }  # fmt: skip
    assert "retry-after" in (await caller.call("GET", f"/v1/exports/{export['id']}")).headers


async def test_the_same_key_and_body_is_the_same_export(world: World) -> None:
    caller = await world.organisation()
    first = await caller.ask(LEADS, key="k1")
    assert first["request_id"] == "k1"
    repeat = await caller.ask({"format": "csv", "dataset": "leads"}, key="k1")
    assert repeat["id"] == first["id"]
    conflict = await caller.call("POST", "/v1/exports", json=LEADS | {"format": "json"}, headers={"Idempotency-Key": "k1"})
    assert (conflict.status_code, conflict.json()["error"]["code"]) == (409, "conflict")
    other = await world.organisation()
    assert (await other.ask(LEADS, key="k1"))["id"] != first["id"]
    assert (await caller.ask(LEADS))["id"] != first["id"]


async def test_requests_with_one_key_at_the_same_time_are_one_export(world: World) -> None:
    caller = await world.organisation(leads=3)
    made = await asyncio.gather(*(caller.ask(LEADS, key="race") for _ in range(12)))
    assert len({export["id"] for export in made}) == 1
    await world.planned()
    assert len(world.chunks(await world.outbox())) == 1


async def test_a_deleted_exports_key_makes_no_new_one(world: World) -> None:
    caller = await world.organisation()
    export = await caller.ask(LEADS, key="once")
    for status in (202, 204):
        assert (await caller.call("DELETE", f"/v1/exports/{export['id']}")).status_code == status
    assert (await caller.call("POST", "/v1/exports", json=LEADS, headers={"Idempotency-Key": "once"})).status_code == 410


@pytest.mark.parametrize("key", ["", "x" * 256, "a\tb"])
async def test_a_key_that_cannot_be_one_is_refused(world: World, key: str) -> None:
    caller = await world.organisation()
    answer = await caller.call("POST", "/v1/exports", json=LEADS, headers={"Idempotency-Key": key})
    assert (answer.status_code, details(answer)) == (400, ["Idempotency-Key"])


@pytest.mark.parametrize(
    ("content", "field"),
    [
        (b"", ""), (b"{", ""), (b"[]", ""), (b'"leads"', ""), (b'{"dataset":"leads","dataset":"messages"}', "dataset"),
        (b'{"dataset":"leads","labels":{"a":"\\u0000"}}', "labels.a"), (b'{"dataset":"leads","labels":{"a":"\\ud800"}}', "labels.a"),
        (b'{"dataset":"leads","max_rows_per_file":1e400}', "max_rows_per_file"), (b'{"dataset":"leads","max_rows_per_file":NaN}', ""),
        (b'{"dataset":"leads","max_rows_per_file":9007199254740993}', "max_rows_per_file"),
        (b"[" * 5000, ""), (b'{"dataset":"leads","filter":{"q":"\\u0000"}}', "filter.q"), (b"\xff\xfe", ""),
    ],
)  # fmt: skip
async def test_a_body_that_is_no_good_json_is_refused_by_name(world: World, content: bytes, field: str) -> None:
    caller = await world.organisation()
    answer = await caller.call("POST", "/v1/exports", content=content, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400, answer.text
    assert details(answer) == [field]


async def test_bodies_that_are_too_large_or_of_another_type(world: World) -> None:
    caller = await world.organisation()
    large = b'{"dataset":"' + b"x" * (1 << 20) + b'"}'
    assert (await caller.call("POST", "/v1/exports", content=large, headers={"Content-Type": "application/json"})).status_code == 413
    assert (await caller.call("POST", "/v1/exports", content=b"a=1", headers={"Content-Type": "text/plain"})).status_code == 415
    answer = await caller.call("POST", "/v1/exports?dry=1", json=LEADS)
    assert (answer.status_code, details(answer)) == (400, ["dry"])


async def test_a_running_export_is_cancelled_and_stays_readable(world: World) -> None:
    caller = await world.organisation(leads=30)
    export = await caller.ask()
    await world.planned()
    answer = await caller.call("DELETE", f"/v1/exports/{export['id']}")
    assert (answer.status_code, answer.json()["status"]) == (202, "cancelled")
    await world.outbox()
    assert world.discards(export["id"]) == [True]
    assert world.events(export["id"])[-1].event == "cancelled"
    assert (await caller.get(export["id"]))["status"] == "cancelled"
    assert (await caller.call("DELETE", f"/v1/exports/{export['id']}")).status_code == 204
    assert (await caller.call("GET", f"/v1/exports/{export['id']}")).status_code == 404


async def test_a_completed_export_is_deleted_with_its_files(world: World) -> None:
    caller = await world.organisation(leads=3)
    export = await caller.completed()
    assert (await caller.call("DELETE", f"/v1/exports/{export['id']}")).status_code == 204
    await world.outbox()
    assert world.discards(export["id"]) == [False, True]
    assert (await caller.call("DELETE", f"/v1/exports/{export['id']}")).status_code == 404
    assert (await caller.call("GET", "/v1/exports")).json()["data"] == []


async def test_another_organisations_export_is_not_there(world: World) -> None:
    mine, theirs = await world.organisation(), await world.organisation()
    export = await mine.ask()
    base = f"/v1/exports/{export['id']}"
    for method, path in (("GET", base), ("DELETE", base), ("GET", f"{base}/events")):
        answer = await theirs.call(method, path)
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")
    assert (await theirs.call("GET", "/v1/exports")).json()["data"] == []
    assert (await mine.get(export["id"]))["status"] != "cancelled"
    for odd in ("exp_%00", "x" * 5000, "..%2f..", "%ff"):
        assert (await mine.call("GET", f"/v1/exports/{odd}")).status_code == 404


async def pages(caller: Caller, query: str) -> list[str]:
    """The ids of all pages; never the same twice."""
    ids: list[str] = []
    cursor = ""
    while True:
        answer = await caller.call("GET", f"/v1/exports?{query}{'&cursor=' + cursor if cursor else ''}")
        assert answer.status_code == 200, answer.text
        page = answer.json()
        ids += [e["id"] for e in page["data"]]
        if not page["has_more"]:
            assert page["next_cursor"] is None
            return ids
        cursor = page["next_cursor"]


async def test_lists_are_filtered_and_paged_newest_first(world: World) -> None:
    caller = await world.organisation()
    made = []
    for number in range(7):
        made.append((await caller.ask(LEADS | {"labels": {"n": str(number % 2), "team": "sales"}}))["id"])
        world.clock.forward(0 if number in (2, 3) else 60)
    assert await pages(caller, "limit=2") == made[::-1]
    assert await pages(caller, "limit=1&label=n=1&label=team=sales") == [made[5], made[3], made[1]]
    assert await pages(caller, "dataset=messages") == []
    assert await pages(caller, "dataset=messages&dataset=leads&limit=500") == made[::-1]
    await caller.call("DELETE", f"/v1/exports/{made[0]}")
    assert await pages(caller, "status=cancelled&status=failed") == [made[0]]
    at = (await caller.get(made[1]))["created_at"]
    assert await pages(caller, f"created_before={at}") == [made[0]]
    assert made[1] not in await pages(caller, f"created_after={at}")


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("cursor=x", "cursor"), ("cursor=", "cursor"), ("cursor=" + "A" * 3000, "cursor"), ("cursor=%00", "cursor"), ("cursor=é", "cursor"),
        ("limit=0", "limit"), ("limit=501", "limit"), ("limit=ten", "limit"), ("limit=-1", "limit"), ("limit=1&limit=2", "limit"),
        ("limit=٣", "limit"), ("status=done", "status"), ("dataset=nothing", "dataset"), ("label=x", "label"), ("label=a=1&label=a=2", "label"),
        ("created_after=yesterday", "created_after"), ("created_before=2026-02-30", "created_before"), ("order=up", "order"),
    ],
)  # fmt: skip
async def test_absurd_lists_are_refused_by_name(world: World, query: str, field: str) -> None:
    caller = await world.organisation()
    answer = await caller.call("GET", f"/v1/exports?{query}")
    assert (answer.status_code, details(answer)) == (400, [field]), answer.text


async def test_a_cursor_is_good_only_for_its_list(world: World) -> None:
    mine, theirs = await world.organisation(), await world.organisation()
    for caller in (mine, theirs):
        for _ in range(2):
            await caller.ask()
    cursor = (await mine.call("GET", "/v1/exports?limit=1")).json()["next_cursor"]
    assert (await mine.call("GET", f"/v1/exports?limit=1&cursor={cursor}")).status_code == 200
    assert (await theirs.call("GET", f"/v1/exports?limit=1&cursor={cursor}")).status_code == 400
    assert (await mine.call("GET", f"/v1/exports?dataset=leads&cursor={cursor}")).status_code == 400
    tampered = ("B" if cursor[-5] != "B" else "C").join((cursor[:-5], cursor[-4:]))
    assert (await mine.call("GET", f"/v1/exports?limit=1&cursor={tampered}")).status_code == 400


async def test_events_stream_progress_and_the_end(world: World) -> None:
    caller = await world.organisation(leads=12)
    export = await caller.ask()
    reading = asyncio.create_task(caller.call("GET", f"/v1/exports/{export['id']}/events"))
    await world.drive(export["id"])
    answer = await reading
    assert answer.headers["content-type"].startswith("text/event-stream")
    lines = [line for line in answer.text.splitlines() if line.startswith(("event:", "data:"))]
    assert lines[-2].split(":")[1].strip() == "end"
    assert json.loads(lines[-1].partition(":")[2])["status"] == "completed"


async def _followed(world: World) -> tuple[str, asyncio.Task[None], asyncio.Task[httpx.Response]]:
    """An export whose stream is being read, and would look for progress in an hour; who listens for ends; the reading."""
    caller = await world.organisation(leads=12)
    world.parts.live.look_seconds = (3600.0, 3600.0)
    listening = asyncio.create_task(world.parts.ends.run())
    export_id = (await caller.ask())["id"]
    reading = asyncio.create_task(caller.call("GET", f"/v1/exports/{export_id}/events"))
    await world.watched(export_id)
    return export_id, listening, reading


async def test_an_end_is_told_at_once_whoever_brought_it(world: World) -> None:
    """The stream would look for progress in an hour. It is told by PostgreSQL: what ends the export works on a connection of another's."""
    export_id, listening, reading = await _followed(world)
    await world.drive(export_id)
    async with asyncio.timeout(60):
        answer = await reading
    listening.cancel()
    assert [line.split(":")[1].strip() for line in answer.text.splitlines() if line.startswith("event:")][-1] == "end"


async def test_an_end_is_told_though_the_connection_that_listened_was_lost(world: World) -> None:
    export_id, listening, reading = await _followed(world)
    ours = "datname = current_database() AND query ILIKE 'listen %'"
    while not await world.admin.fetchval(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {ours}"):
        await asyncio.sleep(0.01)
    await world.drive(export_id)
    async with asyncio.timeout(60):
        answer = await reading
    listening.cancel()
    assert [line for line in answer.text.splitlines() if line.startswith("event:")][-1] == "event: end"


async def test_datasets_tell_columns_filters_formats_and_limits(world: World) -> None:
    caller = await world.organisation()
    await caller.call("PATCH", "/v1/settings", json={"custom_properties": [{"name": "budget", "type": "number"}]})
    found = {d["name"]: d for d in (await caller.call("GET", "/v1/datasets")).json()["data"]}
    assert set(found) >= {"leads", "conversations", "messages"}
    assert "custom_budget" in [c["key"] for c in found["leads"]["columns"]]
    assert found["messages"]["range"] == "required"
    assert {"sheet", "key", "header", "type", "description", "personal", "formats"} == set(found["messages"]["columns"][0])


async def test_anything_else_is_not_found(world: World) -> None:
    caller = await world.organisation()
    for path in ("/", "/v1/nothing", "/v1/exports/", "/redoc", "/v1/exports/a/b"):
        answer = await caller.call("GET", path)
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")
    answer = await caller.call("PUT", "/v1/exports", json={})
    assert (answer.status_code, answer.json()["error"]["code"]) == (405, "method_not_allowed")
