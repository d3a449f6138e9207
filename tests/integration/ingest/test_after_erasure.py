"""What comes of an erased person later, late or once more, and what was on its way: nothing of it is kept."""

from typing import Any

import pytest

from services.ingest.scores.publishing import Publisher
from shared.codec import decode
from shared.messages import LeadChanged
from shared.outbox import Outbox
from tests.contract.ingest.test_leads_api import call
from tests.integration.ingest.room import Room
from tests.integration.ingest.test_erasure import AT, CANARY, OTHER, holding, person, plant

CONVERSATIONS = ("conversation", "message", "event", "visit")


async def test_what_was_to_be_published_of_a_lead_goes(room: Room) -> None:
    """Kafka is away, so the facts wait in the outbox; the default model asks for company and title among others."""
    await plant(room, CANARY, "1")
    await plant(room, OTHER, "2")
    publisher = Publisher(room.pool, Outbox(room.pool, None, "ingest"))
    while await publisher.step():
        pass
    assert {"ingest.outbox"} <= await holding(room, CANARY)
    assert (await call(room, "DELETE", "/v1/leads/l1")).status_code == 202
    while await publisher.step():
        pass
    assert await holding(room, CANARY) == set()
    assert "ingest.outbox" in await holding(room, OTHER)


async def test_a_contacts_erasure_publishes_the_leads_of_its_conversations_anew(room: Room) -> None:
    """The lead stays; what it was scored by in the contact's conversation has gone, also from what waits to be published."""
    check = {"conversation_id": "c", "at": AT, "kind": "qualification_check", "data": {"score": 80}}
    await room.write(
        {"type": "lead", "id": "l", "data": {"email": "a@acme.example", "created_at": AT}},
        {"type": "contact", "id": "p", "data": {"name": CANARY, "created_at": AT}},
        {"type": "conversation", "id": "c", "data": {"lead_id": "l", "contact_id": "p", "created_at": AT}},
        {"type": "event", "id": "e", "data": check},
    )
    publisher = Publisher(room.pool, Outbox(room.pool, None, "ingest"))
    await publisher.step()
    assert [c.qualification_score for c in await waiting(room)] == ["80"]
    assert (await call(room, "DELETE", "/v1/contacts/p")).status_code == 202
    assert await waiting(room) == []
    await publisher.step()
    assert [(c.lead_id, c.qualification_score) for c in await waiting(room)] == [("l", None)]


async def waiting(room: Room) -> list[LeadChanged]:
    rows = await room.admin.fetch("SELECT value FROM ingest.outbox WHERE topic = 'lead-changes' ORDER BY seq")
    return [message for row in rows if isinstance(message := decode(row["value"]), LeadChanged)]


@pytest.mark.parametrize("known", ["all of it", "some of it", "nothing"])
@pytest.mark.parametrize("way", ["lead", "contact"])
async def test_what_comes_after_the_erasure_is_kept_without_content(room: Room, way: str, known: str) -> None:
    """Upstream sends everything once more, or for the first time, in any order of types: that something was said is counted, and no more."""
    await plant(room, OTHER, "2")
    if known == "all of it":
        await plant(room, CANARY, "1")
    elif known == "some of it":  # what was said came before its conversation, which nobody could find
        await room.write(*[record for record in person(CANARY, "1") if record["type"] in ("message", "event", "visit")])
    for kind, id_ in (("lead", "l1"), ("contact", "c1")) if way == "lead" else (("contact", "c1"), ("lead", "l1")):
        await room.write({"type": kind, "id": id_, "op": "erase"})
    again = [record for record in person(CANARY, "1", " once more") if record["type"] in CONVERSATIONS]
    for record in [*again, *reversed(again)]:
        await room.write(record)
    await room.write(*again)
    assert await holding(room, CANARY) <= ({"ingest.visits", "ingest.visits_current"} if known == "nothing" else set())
    assert len(await holding(room, OTHER)) > 10
    counted = "SELECT count(*) FILTER (WHERE content IS NULL), count(*) FROM ingest.messages_current WHERE conversation_id IN ('a1', 'b1')"
    assert tuple(await room.admin.fetchrow(counted)) == (2, 2)


async def test_exports_that_saw_what_came_before_its_conversation_are_recalled(room: Room) -> None:
    """And it is noted who brought the conversation: it is an erasure."""
    await room.write(*[record for record in person(CANARY, "1") if record["type"] == "message"])
    await room.write({"type": "lead", "id": "l1", "op": "erase"})
    seen = await room.admin.fetchval("SELECT pg_current_snapshot()::text")
    await room.write(person(CANARY, "1")[2])
    query = "SELECT kind FROM ingest.erasures WHERE oldest < pg_snapshot_xmax($1::text::pg_snapshot) ORDER BY erased_at DESC LIMIT 1"
    assert await room.admin.fetchval(query, seen) == "conversation"


async def test_a_contact_that_names_an_erased_lead_is_stale(room: Room) -> None:
    """They are the same person. A contact that was somebody else stays as it was."""
    someone: dict[str, Any] = {"type": "contact", "id": "c2", "data": {"name": "Someone", "created_at": AT}}
    await room.write({"type": "lead", "id": "l1", "op": "erase"}, someone)
    late = person(CANARY, "1")[1]
    assert await room.write(late, late | {"id": "c2"}, late | {"id": "c3", "version": 5}, someone) == (1, 3)
    assert await holding(room, CANARY) == set()
    assert await room.current("contacts", "name") == {"c2": "Someone"}


@pytest.mark.parametrize("way", ["a key", "the topic"])
async def test_the_trail_says_who_erased_by_records(room: Room, way: str) -> None:
    await plant(room, CANARY, "1")
    record: dict[str, Any] = {"type": "lead", "id": "l1", "op": "erase"}
    if way == "a key":
        async with room.client() as client:
            assert (await client.post("/v1/records", json=record)).json()["accepted"] == 1
    else:
        await room.write(record)
    told = [decode(row["value"]) for row in await room.admin.fetch("SELECT value FROM ingest.outbox WHERE topic = 'audit-entries'")]
    who = f"key:{room.keys['org_a'].split('_')[2]}" if way == "a key" else "kafka:"
    assert [(e.actor, e.action) for e in told if getattr(e, "action", "").startswith("person")] == [(who, "person.erased")]
