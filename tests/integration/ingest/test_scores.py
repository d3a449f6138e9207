"""From records to scores in one process: which leads are published, what with, and which score is kept."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import replace
from random import Random
from typing import Any

import pytest

from services.ingest.scores import rescoring
from services.ingest.scores.keeping import Scores
from services.ingest.scores.publishing import Publisher, as_scorer
from services.ingest.scores.rescoring import Rescorer
from services.lead_scoring.core.scoring import scored
from shared.codec import decode
from shared.messages import LeadChanged, LeadScored
from shared.outbox import Outbox
from tests.integration.ingest.room import Room
from tests.scoring import oracle, records

ORG = "org_a"


class Road:
    """The road of scores, driven step by step. What Kafka would carry is taken out of the outbox."""

    def __init__(self, room: Room) -> None:
        self.room = room
        self.publisher, self.scores = Publisher(room.pool, Outbox(room.pool, None, "ingest")), Scores(room.pool)

    async def publish(self) -> list[LeadChanged]:
        """Rounds until nothing is noted any more; what they published, in order."""
        while await self.publisher.step():
            pass
        return await self.published()

    async def published(self) -> list[LeadChanged]:
        rows = await self.room.admin.fetch("DELETE FROM ingest.outbox WHERE topic = 'lead-changes' RETURNING seq, value")
        messages = [decode(row["value"]) for row in sorted(rows, key=lambda row: row["seq"])]
        return [message for message in messages if isinstance(message, LeadChanged)]

    async def score(self) -> list[str]:
        """The whole road; the ids that were published."""
        changes = await self.publish()
        await self.scores.keep([scored(change) for change in changes])
        return [change.lead_id for change in changes]

    async def set_rules(self, setting: Any, model_version: int) -> None:
        text = json.dumps(setting) if setting else None
        await self.room.admin.execute(
            "UPDATE tenancy.organisations SET scoring = $1, model_version = $2 WHERE org_id = $3", text, model_version, ORG
        )

    async def progress(self) -> tuple[int, int, int]:
        row = await self.scores.progress(ORG)
        return row["model_version"], row["leads"], row["rescored"]

    async def kept(self, org_id: str = ORG) -> dict[str, Any]:
        rows = await self.room.admin.fetch("SELECT id, score, reasons FROM ingest.lead_scores_current WHERE org_id = $1", org_id)
        return {row["id"]: (row["score"], json.loads(row["reasons"])) for row in rows}


@pytest.fixture
def road(room: Room) -> Road:
    return Road(room)


def lead(id_: str = "l", **data: Any) -> dict[str, Any]:
    envelope = {"version": data.pop("version")} if "version" in data else {}
    return {"type": "lead", "id": id_, **envelope, "data": {"email": "a@acme.example", "created_at": "2026-01-01T00:00:00Z", **data}}


def conversation(id_: str = "c", lead_id: str | None = "l", **data: Any) -> dict[str, Any]:
    return {"type": "conversation", "id": id_, "data": {"created_at": "2026-01-01T00:00:00Z", "lead_id": lead_id, **data}}


def message(id_: str, conversation_id: str = "c", kind: str = "visitor", **data: Any) -> dict[str, Any]:
    return {
        "type": "message",
        "id": id_,
        "data": {"conversation_id": conversation_id, "created_at": "2026-01-01T00:00:00Z", "sender": {"kind": kind}, **data},
    }


def check(id_: str, score: Any, at: str = "2026-01-01T00:00:00Z", conversation_id: str = "c") -> dict[str, Any]:
    data = {"conversation_id": conversation_id, "at": at, "kind": "qualification_check", "data": {"score": score}}
    return {"type": "event", "id": id_, "data": data}


def delete(record: dict[str, Any], op: str = "delete") -> dict[str, Any]:
    return {"type": record["type"], "id": record["id"], "op": op}


async def test_what_changes_a_score_publishes_the_lead_and_nothing_else_does(road: Road) -> None:
    write = road.room.write
    await write(message("m1"), check("q1", 50), conversation(), {"type": "team", "id": "t", "data": {"name": "x"}})
    assert await road.score() == []  # no lead yet
    await write(lead())
    assert await road.score() == ["l"]
    assert (await road.kept())["l"] == (
        34, [{"rule": "qualification", "points": 25}, {"rule": "business_email", "points": 8}, {"rule": "engagement", "points": 1}],
    )  # fmt: skip
    quiet = [lead(), lead(name="N", updated_at="2026-01-02T00:00:00Z"), conversation(description="x"), message("m1", content="y"), message("m2", kind="ai"),
             message("m3", "other"), conversation("c2", None), {"type": "event", "id": "e", "data": {"conversation_id": "c", "at": "2026-01-01T00:00:00Z", "kind": "x"}},
             delete(message("m2"))]  # fmt: skip
    for record in quiet:
        await write(record)
        changes = await road.publish()
        assert changes == [], record
    loud = [lead(title="CEO"), conversation(meeting_booked=True), message("m4"), message("m1", kind="agent"), check("q1", 60), check("q2", 0.5),
            delete(check("q2", 0)), delete(message("m4")), conversation("c2", "l"), message("m1", "c2"), delete(conversation("c2")), lead(title="CEO", status="lost")]  # fmt: skip
    for record in loud:
        await write(record)
        assert await road.score() == ["l"], record


async def test_a_conversation_that_changes_hands_touches_both(road: Road) -> None:
    await road.room.write(lead("a"), lead("b"), conversation("c", "a", meeting_booked=True))
    await road.score()
    await road.room.write(conversation("c", "b", meeting_booked=True))
    assert sorted(await road.score()) == ["a", "b"]
    assert {id_: score for id_, (score, _) in (await road.kept()).items()} == {"a": 8, "b": 28}


async def test_only_what_rules_ask_about_is_published(road: Road) -> None:
    await road.room.write(lead(phone="+32", tags=["x"], custom_properties={"a": 1}, source="chat"))
    (change,) = await road.publish()
    assert (change.phone, change.email_kind, change.rules, change.model_version) == ("+32", "business", None, 1)
    assert (change.tags, change.custom_properties, change.source, change.conversation_count) == (None, None, None, None)
    await road.room.admin.execute(
        "UPDATE tenancy.organisations SET scoring = $1, model_version = 2 WHERE org_id = 'org_a'", json.dumps(oracle.OTHER_SETTING)
    )
    await road.room.write(lead(phone="+32", tags=["x", "y"], custom_properties={"a": 1}))
    (change,) = await road.publish()
    assert (change.phone, change.model_version, json.loads(change.rules or "")) == (None, 2, oracle.OTHER_SETTING)
    assert (change.tags, change.custom_properties, change.conversation_count) == (["x", "y"], '{"a":1}', 0)
    await road.room.admin.execute("UPDATE tenancy.organisations SET scoring = NULL, model_version = 1")


async def test_the_newest_facts_hold_in_whatever_order_and_however_often_scores_come(road: Road) -> None:
    found: list[LeadScored] = []
    for title in ("x", "CEO", "y", "vp"):
        await road.room.write(lead(title=title))
        found += [scored(change) for change in await road.publish()]
    dice = Random(7)
    for _ in range(20):
        await road.scores.keep([dice.choice(found) for _ in range(3)])
    await road.scores.keep(found)
    await road.scores.keep(found[:1] * 2)
    assert (await road.kept())["l"][0] == 18
    assert (await road.room.versions("lead_scores", "l"))[-1] == (found[-1].facts_version, False)


async def test_another_score_is_another_version_and_the_same_one_is_not(road: Road) -> None:
    versions = road.room.versions
    await road.room.write(lead())
    await road.score()
    await road.room.write(lead(phone="+32", email="nobody", company="A"))  # 4 + 4 instead of 8
    await road.score()
    assert len(await versions("lead_scores", "l")) == 1
    assert (await road.kept())["l"] == (8, [{"rule": "phone_given", "points": 4}, {"rule": "company_given", "points": 4}])
    await road.room.write(lead(title="CEO"))
    await road.score()
    assert [ended for _, ended in await versions("lead_scores", "l")] == [True, False]


@pytest.mark.parametrize("op", ["delete", "erase"])
async def test_what_is_under_way_of_a_lead_that_is_gone_is_not_kept(road: Road, op: str) -> None:
    await road.room.write(lead(title="CEO"))
    await road.score()
    await road.room.write(lead(title="CEO", phone="+32"))
    (change,) = await road.publish()
    await road.room.write(delete(lead(), op))
    assert await road.scores.keep([scored(change)]) == 0
    assert await road.kept() == {}
    assert [ended for _, ended in await road.room.versions("lead_scores", "l")] == ([True] if op == "delete" else [])
    await road.room.write(lead())
    assert await road.scores.keep([scored(change)]) == 0  # of another life
    assert await road.score() == (["l"] if op == "delete" else [])
    assert {score for score, _ in (await road.kept()).values()} == ({8} if op == "delete" else set())


async def test_a_large_organisation_keeps_nobody_waiting(road: Road) -> None:
    await road.room.write(*[lead(f"l{n}") for n in range(3000)])
    await road.room.write(lead("small"), org_id="org_b")
    await road.publisher.step()
    first = await road.room.admin.fetchval("SELECT count(*) FROM ingest.lead_facts WHERE org_id = 'org_b'")
    assert first == 1
    assert len(await road.publish()) == 3001


async def test_a_touch_that_commits_meanwhile_leads_to_another_round(road: Road) -> None:
    """Rounds in two processes, writers in between: in the end every lead's newest published facts are the last ones."""
    publishers = [Publisher(road.room.pool, Outbox(road.room.pool, None, "ingest")) for _ in range(2)]
    done = asyncio.Event()

    async def rounds(publisher: Publisher) -> None:
        while not done.is_set() or await publisher.step():
            await publisher.step()

    async def writes() -> None:
        await road.room.write(*[lead(f"l{n}") for n in range(20)], *[conversation(f"c{n}", f"l{n}") for n in range(20)])
        for turn in range(30):
            await asyncio.gather(*[road.room.write(message(f"m{n}_{turn}", f"c{n}")) for n in range(0, 20, 5)])
        done.set()

    await asyncio.gather(writes(), *[rounds(publisher) for publisher in publishers])
    newest: dict[str, LeadChanged] = {}
    for change in await road.publish():
        if change.lead_id not in newest or change.facts_version > newest[change.lead_id].facts_version:
            newest[change.lead_id] = change
    assert {id_: change.visitor_message_count for id_, change in newest.items()} == {f"l{n}": 30 if n % 5 == 0 else 0 for n in range(20)}


@pytest.mark.parametrize("seed", range(4))
async def test_scores_are_the_oracles_after_random_records_in_random_order(road: Road, seed: int) -> None:
    written = records.made(seed)
    dice = Random(seed)
    changes: list[LeadChanged] = []
    place = 0
    while place < len(written):
        size = dice.choice((1, 5, 40))
        await road.room.write(*written[place : place + size])
        place += size
        if dice.random() < 0.3:
            await road.publisher.step()
        if dice.random() < 0.1:
            changes += await road.publish()
    changes += await road.publish()
    changes += dice.choices(changes, k=len(changes) // 3)
    dice.shuffle(changes)
    await _keep_in_pieces(road, [scored(change) for change in changes], dice)
    assert await road.kept() == oracle.scores(written, oracle.default_rules)


async def _keep_in_pieces(road: Road, found: Sequence[LeadScored], dice: Random) -> None:
    place = 0
    while place < len(found):
        size = dice.choice((1, 7, 30))
        await road.scores.keep(found[place : place + size])
        place += size


async def test_other_rules_score_every_lead_again(road: Road) -> None:
    rescorer, written = Rescorer(road.room.pool, road.publisher), records.made(5, leads=20)
    await road.room.write(*written)
    await road.score()
    await _all_rounds(road, rescorer)
    leads = len(oracle.scores(written, oracle.default_rules))
    assert await road.progress() == (1, leads, leads)
    await road.set_rules(oracle.OTHER_SETTING, 2)
    assert await road.progress() == (2, leads, 0)
    assert await _all_rounds(road, rescorer) == leads
    assert await road.progress() == (2, leads, leads)
    assert await road.kept() == oracle.scores(written, oracle.other_rules)
    assert await rescorer.round() == 0
    await road.set_rules(None, 3)
    await _all_rounds(road, Rescorer(road.room.pool, road.publisher))
    assert await road.kept() == oracle.scores(written, oracle.default_rules)
    await road.set_rules(None, 1)


async def test_rules_that_change_while_it_runs_and_processes_that_die_leave_no_lead_behind(
    road: Road, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two processes rescore, another publishes by the rules that it has read, and all are cut off at any point and start anew."""
    monkeypatch.setattr(rescoring, "LEADS_MAX", 7)
    monkeypatch.setattr(rescoring, "STEPS_UNDER_WAY", 1000)
    written = records.made(9, leads=40)
    dice = Random(3)

    async def cut_off(work: Any) -> None:
        task = asyncio.ensure_future(work)
        for _ in range(dice.randrange(60)):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    await road.room.write(*written[:200])
    changes: list[LeadChanged] = []
    for turn in range(40):
        if turn % 5 == 0:
            await road.set_rules(oracle.OTHER_SETTING if turn % 10 == 0 else None, 2 + turn // 5)
        await road.room.write(*written[200 + turn * 20 : 220 + turn * 20])
        rescorers = [Rescorer(road.room.pool, road.publisher) for _ in range(2)]
        await asyncio.gather(*[cut_off(rescorer.round()) for rescorer in rescorers], cut_off(road.publisher.step()), rescorers[0].round())
        if turn % 7 == 0:
            changes += await road.published()
    await road.room.write(*written[1000:])
    changes += await road.publish()
    dice.shuffle(changes)
    await _keep_in_pieces(road, [scored(change) for change in changes], dice)
    await _all_rounds(road, Rescorer(road.room.pool, road.publisher))
    assert await road.kept() == oracle.scores(written, oracle.default_rules)
    await road.set_rules(None, 1)


async def test_the_end_of_rescoring_waits_for_who_read_older_rules(road: Road) -> None:
    await road.room.write(lead())
    await road.score()
    rescorer = Rescorer(road.room.pool, road.publisher)
    await _all_rounds(road, rescorer)
    async with as_scorer(road.room.pool) as older:
        await road.publisher.publish(older, [(ORG, "l")])
        await road.set_rules(oracle.OTHER_SETTING, 2)
        ending = asyncio.ensure_future(rescorer.round())  # the lead's row is locked, so it sees nothing to do, and would end
        async with asyncio.timeout(30):
            while not await road.room.admin.fetchval("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"):
                await asyncio.sleep(0.01)
        assert not ending.done()
    await ending
    assert await road.room.admin.fetchval("SELECT model_version FROM ingest.rescorings WHERE org_id = $1", ORG) == 1
    await _all_rounds(road, rescorer)
    assert await road.progress() == (2, 1, 1)
    await road.set_rules(None, 1)


async def _all_rounds(road: Road, rescorer: Rescorer) -> int:
    """Until nothing has to be rescored; how many were published."""
    total = 0
    while await rescorer.round():
        changes = await road.published()
        total += len(changes)
        await road.scores.keep([scored(change) for change in changes])
    return total


async def test_progress_is_told_over_http(road: Road) -> None:
    await road.room.admin.execute("UPDATE tenancy.api_keys SET scopes = '{leads:read}'")
    await road.room.write(lead(), lead("l2"))
    async with road.room.client() as client:
        assert (await client.get("/v1/scoring")).json() == {"model_version": 1, "leads": 2, "rescored": 0, "complete": False}
        await road.score()
        assert (await client.get("/v1/scoring")).json() == {"model_version": 1, "leads": 2, "rescored": 2, "complete": True}
        assert (await client.get("/v1/scoring?x=1")).status_code == 400
    await road.room.admin.execute("UPDATE tenancy.api_keys SET scopes = '{records:write}'")


async def test_scores_of_another_organisation_are_nobodys(road: Road) -> None:
    await road.room.write(lead())
    (change,) = await road.publish()
    assert await road.scores.keep([replace(scored(change), org_id="org_b")]) == 0
    assert await road.kept("org_b") == {}
    assert await road.scores.of("org_b", "l") is None


async def test_a_score_is_told_over_http(road: Road) -> None:
    await road.room.admin.execute("UPDATE tenancy.api_keys SET scopes = '{leads:read}'")
    async with road.room.client() as client, road.room.client("org_b") as other:
        assert (await client.get("/v1/leads/l/score")).status_code == 404
        await road.room.write(lead("l/1"), lead("l"))
        none = (await client.get("/v1/leads/l/score")).json()
        assert none == {"leadId": "l", "score": 0, "reasons": [], "modelVersion": None, "factsVersion": None, "scoredAt": None}
        await road.score()
        told = (await client.get("/v1/leads/l/score")).json()
        assert told["scoredAt"].endswith("Z") and isinstance(told["factsVersion"], int)
        assert (told["score"], told["reasons"], told["modelVersion"]) == (8, [{"rule": "business_email", "points": 8}], 1)
        assert (await other.get("/v1/leads/l/score")).status_code == 404
        assert (await client.get("/v1/leads/l/score?x=1")).status_code == 400
    await road.room.admin.execute("UPDATE tenancy.api_keys SET scopes = '{records:write}'")
    async with road.room.client() as client:
        assert (await client.get("/v1/leads/l/score")).status_code == 403
