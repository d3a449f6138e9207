"""The cursor API on a real PostgreSQL: pages, one instant, cursors, the rate limit."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any, cast

import asyncpg
import pytest

from services.export_request import walking
from services.ingest.core.records import decode
from services.ingest.store import Store, prepare
from shared.database import create_pool
from shared.messages import AuditEntry
from shared.outbox import Outbox
from tests.conftest import Database
from tests.contract.export_request.conftest import Caller, Connections, World, world_of
from tests.contract.export_request.test_tenancy import key_with

START = datetime.fromisoformat("2026-03-01T00:00:00+00:00")


def _record(kind: str, id_: str, data: dict[str, Any] | None, op: str = "upsert") -> bytes:
    return json.dumps({"type": kind, "id": id_, "op": op} | ({"data": data} if data is not None else {})).encode()


def _message(number: int, **more: Any) -> bytes:
    at = (START + timedelta(seconds=number // 3)).isoformat()  # three at a time: ties are broken by id
    return _record("message", f"msg_{number:04}", {"conversation_id": "conv_1", "created_at": at, "sender": {"kind": "visitor"}} | more)


@pytest.fixture
async def ingest(database: Database) -> AsyncIterator[Store]:
    async with create_pool(database.as_service("ingest"), "tests", 4, prepare) as pool:
        yield Store(pool, Outbox(pool, cast(Any, None), "ingest"))


@pytest.fixture
async def unlimited(database: Database, connections: Connections) -> AsyncIterator[World]:
    async with world_of(database, connections=connections, cursor_requests_per_second=0) as world:
        yield world


async def put(ingest: Store, caller: Caller, *records: bytes) -> None:
    await ingest.write([decode(record) for record in records], caller.org_id)


async def page(caller: Caller, endpoint: str = "messages", **parameters: Any) -> dict[str, Any]:
    answer = await caller.call("GET", f"/v1/export/{endpoint}", params={k.rstrip("_"): v for k, v in parameters.items()})
    assert answer.status_code == 200, answer.text
    loaded: dict[str, Any] = answer.json()
    assert loaded["has_more"] == (loaded["next_cursor"] is not None)
    return loaded


async def rest_of(caller: Caller, first: dict[str, Any], limit: int, endpoint: str = "messages") -> list[dict[str, Any]]:
    """`first` and all pages behind it."""
    data, following = list(first["data"]), first["next_cursor"]
    while following is not None:
        found = await page(caller, endpoint, cursor=following, limit=limit)
        assert found["data"]
        data += found["data"]
        following = found["next_cursor"]
    return data


async def test_a_conversation_carries_all_that_its_record_does(unlimited: World, ingest: Store) -> None:
    caller = await unlimited.organisation()
    data = {
        "channel_id": "ch_1", "contact_id": "contact_1", "lead_id": "lead_1", "visitor_id": "v_1", "description": 'a "b" \u2028 é', "status": "pending",
        "language": "nl", "url": "https://app.example/1", "created_at": "2026-03-01T01:00:00.123+01:00", "ended_at": "2026-03-01T02:00:00Z",
        "updated_at": "2026-03-01T02:00:00.5Z", "assignee_id": "agent_1", "follower_ids": ["agent_2", "agent_3"], "campaign_id": "c_1",
        "support_bot": {"id": "bot_1", "revision_id": "r1", "section_path": "a/b"}, "qualification_triggered": True, "meeting_booked": False,
        "engagement_score": 12.5, "csat": {"score": 4, "completed_status": "Successful", "question": "?", "answer": "!"},
        "metadata": {"b": [1, 2.5, None], "a": {"x": "é"}}, "parameters": {"plan": "pro"},
    }  # fmt: skip
    await put(
        ingest, caller, _record("conversation", "conv_1", data), _record("conversation", "conv_2", {"created_at": "2026-03-02T00:00:00Z"})
    )
    full, bare = (await page(caller, "conversations"))["data"]
    times = {"created_at": "2026-03-01T00:00:00.123Z", "ended_at": "2026-03-01T02:00:00.000Z", "updated_at": "2026-03-01T02:00:00.500Z"}
    assert full == {"id": "conv_1"} | data | times
    assert list(full)[:2] == ["id", "channel_id"]
    assert bare == dict.fromkeys(full) | {"id": "conv_2", "created_at": "2026-03-02T00:00:00.000Z", "status": "new", "follower_ids": []}


async def test_a_message_carries_all_that_its_record_does(unlimited: World, ingest: Store) -> None:
    caller = await unlimited.organisation()
    data = {
        "conversation_id": "conv_1", "created_at": "2026-03-01T00:00:00Z", "sender": {"kind": "agent", "id": "agent_1", "name": "Zoë"}, "content": "=1\r\n\t\"x\"",
        "message_type": "text", "origin": "web", "outbound_message_type": "Reply", "post_url": "https://x.example", "updated_at": "2026-03-01T00:00:01Z",
        "deleted_at": "2026-03-01T00:00:02Z",
    }  # fmt: skip
    await put(ingest, caller, _record("message", "msg_1", data))
    (message,) = (await page(caller))["data"]
    times = {name: data[name].replace("Z", ".000Z") for name in ("created_at", "updated_at", "deleted_at")}  # type: ignore[attr-defined]
    assert message == {"id": "msg_1"} | data | times


@pytest.mark.parametrize("limit", [1, 7, 20, 1000])
async def test_a_walk_gives_every_row_once_in_order(unlimited: World, ingest: Store, limit: int) -> None:
    caller = await unlimited.organisation()
    await put(ingest, caller, *[_message(n) for n in range(20)])
    await put(ingest, caller, *[_message(n, content="new") for n in range(5)], _record("message", "msg_0019", None, "delete"))
    data = await rest_of(caller, await page(caller, limit=limit), limit)
    assert [m["id"] for m in data] == [f"msg_{n:04}" for n in range(19)]
    assert [m["content"] for m in data] == ["new"] * 5 + [None] * 14


@pytest.mark.parametrize("changes", ["replaced", "deleted", "more"])
async def test_a_walk_sees_the_instant_at_which_it_began(unlimited: World, ingest: Store, changes: str) -> None:
    caller = await unlimited.organisation()
    await put(ingest, caller, *[_message(n) for n in range(0, 40, 2)])
    first = await page(caller, limit=3)
    for number in range(40):
        if changes == "more":
            await put(ingest, caller, _message(number, content="new"))
        elif changes == "replaced" and number % 2 == 0:
            await put(ingest, caller, _message(number, content="new"), _message(number, content="newer"))
        elif changes == "deleted" and number % 2 == 0:
            await put(ingest, caller, _record("message", f"msg_{number:04}", None, "delete"))
    data = await rest_of(caller, first, 3)
    assert [(m["id"], m["content"]) for m in data] == [(f"msg_{n:04}", None) for n in range(0, 40, 2)]


async def test_a_row_that_moves_in_time_is_where_it_was(unlimited: World, ingest: Store) -> None:
    caller = await unlimited.organisation()
    await put(ingest, caller, *[_message(n) for n in range(10)])
    first = await page(caller, limit=4)
    await put(ingest, caller, _message(1, created_at="2027-01-01T00:00:00Z"), _message(9, created_at="2025-01-01T00:00:00Z"))
    assert [m["id"] for m in await rest_of(caller, first, 4)] == [f"msg_{n:04}" for n in range(10)]


async def test_a_range_is_read_in_the_organisation_s_timezone(unlimited: World, ingest: Store) -> None:
    caller = await unlimited.organisation()
    assert (await caller.call("PATCH", "/v1/settings", json={"timezone": "Europe/Brussels"})).status_code == 200
    times = ["2026-02-28T22:59:59Z", "2026-02-28T23:00:00Z", "2026-03-01T22:59:59.999Z", "2026-03-01T23:00:00Z"]
    await put(ingest, caller, *[_message(n, created_at=at) for n, at in enumerate(times)])
    first = await page(caller, from_="2026-03-01", to="2026-03-02", limit=1)
    assert [m["id"] for m in await rest_of(caller, first, 1)] == ["msg_0001", "msg_0002"]
    assert [m["id"] for m in (await page(caller, to="2026-02-28T23:00:00Z"))["data"]] == ["msg_0000"]


async def test_a_page_of_large_rows_is_bounded_in_bytes(unlimited: World, ingest: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(walking, "PAGE_BYTES_MAX", 1000)
    caller = await unlimited.organisation()
    await put(ingest, caller, *[_message(n, content="x" * size) for n, size in enumerate([400, 400, 300, 5000, 10, 10])])
    sizes, following = [], ""
    while following is not None:
        found = await page(caller, **({"cursor": following} if following else {}))
        sizes.append(len(found["data"]))
        following = found["next_cursor"]
    assert sizes == [3, 1, 2]


async def test_a_cursor_is_good_for_its_own_walk_alone(unlimited: World, ingest: Store) -> None:
    caller, other = await unlimited.organisation(), await unlimited.organisation()
    await put(ingest, caller, *[_message(n) for n in range(5)])
    cursor = (await page(caller, limit=2))["next_cursor"]

    async def refused(who: Caller, endpoint: str, status: int, field: str | None, **parameters: Any) -> None:
        answer = await who.call("GET", f"/v1/export/{endpoint}", params=parameters)
        assert answer.status_code == status, answer.text
        assert [d["field"] for d in answer.json()["error"].get("details", [])] == ([field] if field else [])

    await refused(other, "messages", 400, "cursor", cursor=cursor)
    await refused(caller, "conversations", 400, "cursor", cursor=cursor)
    raw = bytearray(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    raw[-3] ^= 1
    await refused(caller, "messages", 400, "cursor", cursor=base64.urlsafe_b64encode(raw).decode())
    for wrong in ("", "x", "é", "A" * 20_000):
        await refused(caller, "messages", 400, "cursor", cursor=wrong)
    await refused(caller, "messages", 422, "from", cursor=cursor, **{"from": "2026-03-01"})
    await refused(caller, "messages", 400, "from", cursor=cursor, **{"from": "yesterday"})
    await refused(caller, "messages", 400, "cursor", cursor="x", **{"from": "2026-03-01"})
    unlimited.clock.forward(86_400 + 60)
    await refused(caller, "messages", 410, None, cursor=cursor)


async def test_a_walk_s_range_may_be_said_again_with_its_cursor_and_no_other(unlimited: World, ingest: Store) -> None:
    caller = await unlimited.organisation()
    await put(ingest, caller, *[_message(n) for n in range(3)])
    asked = {"from": "2026-03-01", "to": "2026-03-02"}
    cursor = (await page(caller, limit=2, **asked))["next_cursor"]
    # The same range in other words is the same range.
    for again in (asked, {"from": "2026-03-01T00:00:00Z"}, {"to": "2026-03-02T01:00:00+01:00"}, {}):
        assert [m["id"] for m in (await page(caller, cursor=cursor, **again))["data"]] == ["msg_0002"]
    other = await caller.call("GET", "/v1/export/messages", params={**asked, "cursor": cursor, "to": "2026-03-03"})
    assert (other.status_code, [d["field"] for d in other.json()["error"]["details"]]) == (422, ["to"])


@pytest.mark.parametrize(
    ("parameters", "status", "field"),
    [
        ({"limit": "0"}, 400, "limit"), ({"limit": "1001"}, 400, "limit"), ({"limit": "x"}, 400, "limit"), ({"from": "yesterday"}, 400, "from"),
        ({"to": "2026-13-01"}, 400, "to"), ({"from": "2026-03-02", "to": "2026-03-02"}, 422, "to"), ({"page": "1"}, 400, "page"),
    ],
)  # fmt: skip
async def test_what_is_wrong_is_named(unlimited: World, parameters: dict[str, str], status: int, field: str) -> None:
    answer = await (await unlimited.organisation()).call("GET", "/v1/export/messages", params=parameters)
    assert (answer.status_code, [d["field"] for d in answer.json()["error"]["details"]]) == (status, [field])


async def test_admins_alone_walk_and_their_own_rows_alone(unlimited: World, ingest: Store) -> None:
    caller, other = await unlimited.organisation(), await unlimited.organisation()
    await put(ingest, caller, _message(1))
    assert (await page(other))["data"] == []
    reader = await key_with(caller, "exports:read", "exports:download")
    assert (await reader.call("GET", "/v1/export/messages")).status_code == 403


async def test_an_erasure_ends_walks_that_could_have_seen_the_person(unlimited: World, ingest: Store) -> None:
    caller = await unlimited.organisation()
    lead = {"email": "a@b.example", "created_at": "2026-03-01T00:00:00Z"}
    await put(ingest, caller, *[_message(n) for n in range(5)], _record("lead", "lead_1", lead))
    cursor = (await page(caller, limit=2))["next_cursor"]
    await put(ingest, caller, _record("lead", "lead_1", None, "erase"))
    answer = await caller.call("GET", "/v1/export/messages", params={"cursor": cursor})
    assert (answer.status_code, "erased" in answer.json()["error"]["message"]) == (410, True)
    assert len(await rest_of(caller, await page(caller, limit=2), 2)) == 5


async def test_a_page_that_was_made_before_an_erasure_is_not_given_after_it(unlimited: World, ingest: Store) -> None:
    caller = await unlimited.organisation()
    lead = {"email": "a@b.example", "created_at": "2026-03-01T00:00:00Z"}
    await put(ingest, caller, *[_message(n) for n in range(9)], _record("lead", "lead_1", lead))
    first = await page(caller, limit=2)
    cursor = (await page(caller, limit=2, cursor=first["next_cursor"]))["next_cursor"]  # the third is on its way now
    await put(ingest, caller, _record("lead", "lead_1", None, "erase"))
    answer = await caller.call("GET", "/v1/export/messages", params={"cursor": cursor, "limit": 2})
    assert (answer.status_code, "erased" in answer.json()["error"]["message"]) == (410, True)


async def test_a_walk_that_several_processes_serve_in_turn(unlimited: World, database: Database, ingest: Store) -> None:
    caller = await unlimited.organisation()
    await put(ingest, caller, *[_message(n) for n in range(20)])
    async with world_of(database, cursor_requests_per_second=0) as other:
        callers = [caller, Caller(other, caller.org_id, caller.api_key)]
        data, following = [], ""
        for number in range(20):
            found = await page(callers[(number // 3) % 2], limit=1, **({"cursor": following} if following else {}))
            data += found["data"]
            following = found["next_cursor"]
            await put(ingest, caller, _message(19 - number, content="new"))
    assert [(m["id"], m["content"]) for m in data] == [(f"msg_{n:04}", None) for n in range(20)]
    assert following is None


async def test_a_walk_s_begin_is_audited(unlimited: World, ingest: Store) -> None:
    caller = await unlimited.organisation()
    await put(ingest, caller, *[_message(n) for n in range(3)])
    await unlimited.audited()
    await rest_of(caller, await page(caller, from_="2026-03-01", limit=1), 1)
    await unlimited.outbox()
    (entry,) = [m.message for m in unlimited.noted]
    assert isinstance(entry, AuditEntry)
    assert (entry.org_id, entry.action, entry.subject) == (caller.org_id, "walk.begun", "messages")
    assert json.loads(entry.details) == {"from": "2026-03-01T00:00:00.000Z", "to": None}


async def test_three_requests_a_second_for_each_endpoint_and_key(world: World) -> None:
    caller = await world.organisation()
    second = await key_with(caller, "admin")
    answers = [await caller.call("GET", "/v1/export/messages") for _ in range(3)]
    assert [a.status_code for a in answers] == [200] * 3
    assert [a.headers["ratelimit"].partition(";t")[0] for a in answers] == [f'"cursor";r={n}' for n in (2, 1, 0)]
    assert {a.headers["ratelimit-policy"] for a in answers} == {'"cursor";q=3;w=1'}
    refused = await caller.call("GET", "/v1/export/messages?limit=none")  # the limit comes before what is asked
    assert (refused.status_code, refused.json()["error"]["code"], refused.headers["retry-after"]) == (429, "rate_limited", "1")
    assert refused.headers["ratelimit"].startswith('"cursor";r=0;t=')
    for who, endpoint in ((caller, "conversations"), (second, "messages")):
        assert (await who.call("GET", f"/v1/export/{endpoint}")).status_code == 200


async def test_the_limit_is_exact_across_processes(world: World, database: Database) -> None:
    """Twelve connections push as hard as they can; what was let through is told by the server's clock."""
    let_through: set[datetime] = set()
    allowed = 0
    async with asyncpg.create_pool(database.as_service("export_request"), min_size=12, max_size=12) as pool:

        async def push() -> None:
            nonlocal allowed
            while allowed < 10:
                if (await pool.fetchrow("SELECT * FROM tenancy.take_request('k', 'e', 3, 0.3)"))["allowed"]:
                    allowed += 1
                    let_through.update(await pool.fetchval("SELECT times FROM tenancy.request_times WHERE key_id = 'k'"))

        await asyncio.gather(*(push() for _ in range(12)))
    times = sorted(let_through)
    assert len(times) == allowed
    assert min(b - a for a, b in zip(times, times[3:], strict=False)) >= timedelta(seconds=0.3)
