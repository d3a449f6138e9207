"""An erasure, judged by a canary: planted wherever a person's data goes, and looked for in every column of every table."""

import asyncio
from typing import Any

import pytest

from tests.contract.ingest.test_leads_api import call, error
from tests.integration.ingest.room import Room

CANARY, OTHER = "canary7f3a", "neighbour91bc"
AT = "2026-04-01T09:15:00Z"


async def holding(room: Room, word: str) -> set[str]:
    """The tables that hold a word, in any column, of any version."""
    tables = await room.admin.fetch(
        "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables WHERE schemaname IN ('ingest', 'exports', 'delivery', 'tenancy')"
    )
    found = set()
    for (table,) in tables:
        if await room.admin.fetchval(f"SELECT count(*) FROM {table} t WHERE strpos(lower(t::text), $1) > 0", word) or (
            table.endswith(".outbox")
            and await room.admin.fetchval(f"SELECT count(*) FROM {table} WHERE position($1 IN value) > 0", word.encode())
        ):
            found.add(table)
    return found


def person(word: str, suffix: str, twice: str = "") -> list[dict[str, Any]]:
    """A lead, their contact, two conversations (one by the contact alone), and all that is said in them."""
    text, free = f"{word} said{twice}", {word: word}
    conversation = {"visitor_id": f"{word}_v", "description": text, "url": f"https://x.example/{word}", "metadata": free, "parameters": free, "created_at": AT,
                    "csat": {"score": 5, "question": text, "answer": text}}  # fmt: skip
    records: list[dict[str, Any]] = [
        {"type": "lead", "id": f"l{suffix}", "data": {"email": f"{word}@x.example", "name": text, "company": word, "tags": [word], "custom_properties": free, "created_at": AT}},
        {"type": "contact", "id": f"c{suffix}", "data": {"name": text, "email": f"{word}@x.example", "lead_id": f"l{suffix}", "profile": free, "created_at": AT}},
        {"type": "conversation", "id": f"a{suffix}", "data": {**conversation, "lead_id": f"l{suffix}"}},
        {"type": "conversation", "id": f"b{suffix}", "data": {**conversation, "contact_id": f"c{suffix}"}},
        {"type": "visit", "id": f"v{suffix}", "data": {"visitor_id": f"{word}_v", "at": AT, "url": f"https://x.example/{word}{twice}"}},
    ]  # fmt: skip
    for at in ("a", "b"):
        sender = {"kind": "visitor", "id": f"{word}_v", "name": word}
        records += [
            {"type": "message", "id": f"{at}m{suffix}", "data": {"conversation_id": f"{at}{suffix}", "created_at": AT, "sender": sender, "content": text}},
            {"type": "event", "id": f"{at}e{suffix}", "data": {"conversation_id": f"{at}{suffix}", "at": AT, "kind": "noted", "data": {"note": text}}},
        ]  # fmt: skip
    return records


async def plant(room: Room, word: str, suffix: str) -> None:
    """Two versions of everything, the second one's predecessors ended."""
    await room.write(*person(word, suffix))
    await room.write(*person(word, suffix, " again"))


@pytest.mark.parametrize("way", ["api", "records", "contact"])
async def test_nothing_of_the_person_is_left_anywhere(room: Room, way: str) -> None:
    await plant(room, CANARY, "1")
    await plant(room, OTHER, "2")
    query = "INSERT INTO ingest.lead_scores (org_id, id, score, reasons, model_version) VALUES ('org_a', 'l1', 5, $1, 1)"
    await room.admin.execute(query, f'[{{"rule": "{CANARY}"}}]')
    assert len(await holding(room, CANARY)) > 10
    if way == "api":
        answer = await call(room, "DELETE", "/v1/leads/l1")
        assert (answer.status_code, answer.headers["location"]) == (202, f"/v1/erasures/{answer.json()['id']}")
        assert answer.json()["id"].startswith("era_") and (await call(room, "GET", answer.headers["location"])).json() == answer.json()
    elif way == "records":
        assert await room.write({"type": "lead", "id": "l1", "op": "erase"}) == (1, 0)
    else:
        assert (await call(room, "DELETE", "/v1/contacts/c1")).status_code == 202
        left = await holding(room, CANARY)
        assert "ingest.leads_current" in left and not any("contacts" in table for table in left), (
            "the lead and the conversation of its own are another erasure's"
        )
        assert (await call(room, "DELETE", "/v1/leads/l1")).status_code == 202
    assert await holding(room, CANARY) == set()
    assert len(await holding(room, OTHER)) > 10
    assert await room.admin.fetchval("SELECT count(*) FROM ingest.messages WHERE conversation_id = 'a1'") == 2, (
        "that something was said is still counted"
    )
    trail = await room.admin.fetch("SELECT value FROM ingest.outbox WHERE topic = 'audit-entries'")
    assert trail and all(b"person.erased" in row["value"] and b"era_" in row["value"] for row in trail)
    # As Avro writes them, their length in front: chance brings the letters alone into any random id.
    assert not any(id_ in row["value"] for row in trail for id_ in (b"\x04l1", b"\x04c1"))
    assert await room.write(person(CANARY, "1")[0], person(CANARY, "1")[1]) == (0, 2), "the ids stay blocked"


async def test_what_the_api_remembers_goes_too(room: Room) -> None:
    body = {"email": f"{CANARY}@x.example", "name": CANARY}
    made = await call(room, "POST", "/v1/leads", body, idempotency_key="k")
    path = made.headers["location"]
    await call(room, "PATCH", path, {"title": CANARY})
    assert (await call(room, "DELETE", path, org_id="org_b")).status_code == 404
    assert (await call(room, "DELETE", path)).status_code == 202
    assert await holding(room, CANARY) == set()
    assert error(await call(room, "DELETE", path))[:2] == error(await call(room, "GET", path))[:2] == (404, "not_found")
    assert error(await call(room, "POST", "/v1/leads", body, idempotency_key="k"))[:2] == (410, "gone")
    assert (await call(room, "POST", "/v1/leads", body)).status_code == 201


async def test_an_erasure_and_writers_of_the_same_person_meet(room: Room) -> None:
    """Whoever comes first, nothing of the conversations that were there is left, and the lead is blocked."""
    await plant(room, CANARY, "1")
    answers = await asyncio.gather(
        call(room, "DELETE", "/v1/leads/l1"), call(room, "PATCH", "/v1/leads/l1", {"name": CANARY}), room.write(person(CANARY, "1")[0]),
        call(room, "DELETE", "/v1/leads/l1"),
    )  # fmt: skip
    assert sorted([answers[0].status_code, answers[3].status_code]) == [202, 404]
    assert await holding(room, CANARY) == set()


async def test_an_export_of_before_can_not_be_reproduced(room: Room) -> None:
    snapshot = await room.admin.fetchval("SELECT pg_current_snapshot()::text")
    await plant(room, CANARY, "1")
    seen = await room.admin.fetchval("SELECT pg_current_snapshot()::text")
    await call(room, "DELETE", "/v1/leads/l1")
    query = """SELECT EXISTS (SELECT FROM ingest.erasures r WHERE NOT pg_visible_in_snapshot(r.erased_in, $1::text::pg_snapshot)
               AND r.oldest < pg_snapshot_xmax($1::text::pg_snapshot))"""
    assert [await room.admin.fetchval(query, s) for s in (snapshot, seen)] == [False, True]


async def test_an_erasure_says_where_files_of_recalled_exports_were_brought(room: Room) -> None:
    await plant(room, CANARY, "9")
    erasure = (await call(room, "DELETE", "/v1/leads/l9")).json()
    await room.admin.execute(
        "INSERT INTO exports.recalls (org_id, erasure_id, export_id, ended_as, files, recalled_at) VALUES ('org_a', $1, 'exp_9', 'completed', '[]', now())",
        erasure["id"],
    )
    deliveries = "INSERT INTO delivery.deliveries (id, org_id, export_id, key, type, recipients, event, small, status, created_at) VALUES ($1, 'org_a', 'exp_9', $1, 'email', '{a@b.example}', '', true, $2, now())"
    for name, status in (("dlv_1", "delivered"), ("dlv_2", "failed"), ("dlv_3", "cancelled")):
        await room.admin.execute(deliveries, name, status)
    await room.admin.execute(
        "INSERT INTO delivery.delivery_files (delivery_id, name, org_id, sent_at) VALUES ('dlv_3', 'leads_1.csv', 'org_a', now()), ('dlv_2', 'leads_1.csv', 'org_a', NULL)"
    )
    [recalled] = (await call(room, "GET", f"/v1/erasures/{erasure['id']}")).json()["exports"]
    assert recalled["destinations"] == [
        {"delivery_id": "dlv_1", "destination": None, "type": "email", "status": "delivered"}, {"delivery_id": "dlv_3", "destination": None, "type": "email", "status": "cancelled"},
    ], "one that brought half of the files is among them"  # fmt: skip
