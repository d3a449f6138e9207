"""Versions, tombstones, tenants and races, on PostgreSQL as the role that owns nothing."""

import asyncio
import random
from typing import Any

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.ingest.batch import UnknownOrganisation
from services.ingest.core.rows import RECORD_TYPES
from tests.integration.ingest.room import Room, read, team
from tests.unit.ingest.samples import SAMPLES, sample
from tests.unit.ingest.test_fold import IDS, Model, a_record


async def test_every_column_of_every_type_is_kept(room: Room) -> None:
    assert await room.write(*[sample(name, version=7) for name in SAMPLES]) == (15, 0)
    for name, kind in RECORD_TYPES.items():
        expected = read(sample(name), "org_a").row
        columns = ", ".join([f'"{c}"' for c in kind.columns])
        row = await room.admin.fetchrow(
            f"SELECT {columns} FROM ingest.{kind.table} WHERE org_id = 'org_a' AND version = 7 AND ended IS NULL"
        )
        assert tuple(row or ()) == expected


async def test_a_change_ends_one_version_and_adds_the_next(room: Room) -> None:
    assert await room.write(team("t", "one", version=1)) == (1, 0)
    before = await room.admin.fetchval("SELECT pg_current_snapshot()::text")
    assert await room.write(team("t", "two", version=2)) == (1, 0)
    assert await room.versions("teams", "t") == [(1, True), (2, False)]
    seen = """SELECT name FROM ingest.teams WHERE id = 't' AND pg_visible_in_snapshot(added, $1::text::pg_snapshot)
              AND (ended IS NULL OR NOT pg_visible_in_snapshot(ended, $1::text::pg_snapshot))"""
    assert await room.admin.fetchval(seen, before) == "one"
    assert await room.admin.fetchval(seen, await room.admin.fetchval("SELECT pg_current_snapshot()::text")) == "two"


async def test_what_is_not_above_the_version_held_is_stale(room: Room) -> None:
    assert await room.write(team("t", "five", version=5)) == (1, 0)
    assert await room.write(team("t", "five again", version=5), team("t", "four", version=4)) == (0, 2)
    assert await room.write(team("t", "none")) == (1, 0)
    assert await room.write(team("t", "still four", version=4)) == (0, 1)
    assert await room.current("teams", "name") == {"t": "none"}
    assert await room.current("teams", "version") == {"t": 5}


async def test_versions_between_inside_a_batch_are_never_written(room: Room) -> None:
    batch = [team("t", "one", version=1), team("t", "three", version=3), team("t", "two", version=2), team("t", op="delete", version=3)]
    assert await room.write(*batch) == (2, 2)
    assert await room.versions("teams", "t") == [(3, False)]


async def test_a_repeat_without_version_is_no_new_version(room: Room) -> None:
    tag = sample("tag")
    assert await room.write(tag) == (1, 0)
    assert await room.write(tag, sample("contact"), sample("conversation")) == (3, 0)
    assert await room.write(tag, sample("contact"), sample("conversation"), tag) == (4, 0)
    for table, id_ in (("tags", "tag_1"), ("contacts", "contact_1"), ("conversations", "conversation_1")):
        assert len(await room.versions(table, id_)) == 1
    tag["data"]["follower_ids"] = []
    await room.write(tag)
    assert len(await room.versions("tags", "tag_1")) == 2


async def test_deletes_are_remembered(room: Room) -> None:
    assert await room.write(team("never", op="delete"), team("never_2", op="delete", version=5)) == (2, 0)
    assert await room.write(team("never", "x", version=1), team("never_2", "x", version=5), team("never_2", "y", version=4)) == (1, 2)
    assert await room.write(team("never", op="delete", version=1)) == (0, 1)
    assert await room.write(team("never", op="delete", version=2)) == (1, 0)
    assert await room.write(team("never", "old", version=2)) == (0, 1)
    assert await room.current("teams", "name") == {}
    assert await room.write(team("never", "new", version=3), team("never_2", "new")) == (2, 0)
    assert await room.current("teams", "version") == {"never": 3, "never_2": 5}
    assert await room.admin.fetchval("SELECT count(*) FROM ingest.tombstones") == 0
    assert await room.versions("teams", "never") == [(1, True), (3, False)]


async def test_an_erasure_leaves_no_version_and_blocks_the_id(room: Room) -> None:
    lead, contact = sample("lead", version=1), sample("contact", id="p")
    await room.write(lead, contact, sample("lead", id="other"))
    await room.write(lead | {"version": 2}, sample("contact", id="p") | {"version": 9})
    await room.admin.execute(
        "INSERT INTO ingest.lead_scores (org_id, id, score, reasons, model_version) VALUES ('org_a', 'lead_1', 5, '[]', 1)"
    )
    erase: list[dict[str, Any]] = [
        {"type": "lead", "id": "lead_1", "op": "erase"},
        {"type": "contact", "id": "p", "op": "erase", "version": 3},
    ]
    assert await room.write(*erase) == (2, 0)
    assert (
        await room.versions("leads", "lead_1") == await room.versions("contacts", "p") == await room.versions("lead_scores", "lead_1") == []
    )
    assert await room.write(lead | {"version": 99}, {"type": "lead", "id": "lead_1", "op": "delete"}, sample("contact", id="p")) == (0, 3)
    assert await room.write(*erase) == (1, 1)
    assert list(await room.current("leads", "name")) == ["other"]
    assert await room.write({"type": "lead", "id": "unseen", "op": "erase"}) == (1, 0)
    assert await room.write(sample("lead", id="unseen")) == (0, 1)


async def test_tenants_never_meet(room: Room) -> None:
    assert await room.write(team("t", "a's", version=5)) == (1, 0)
    assert await room.write(team("t", "b's", version=1), org_id="org_b") == (1, 0)
    assert await room.current("teams", "name", "org_a") == {"t": "a's"}
    assert await room.current("teams", "name", "org_b") == {"t": "b's"}
    await room.store.write([read(team("u", "a"), "org_a"), read(team("u", "b"), "org_b"), read(team("t", op="delete"), "org_b")])
    assert await room.current("teams", "name", "org_a") == {"t": "a's", "u": "a"}
    assert await room.current("teams", "name", "org_b") == {"u": "b"}
    async with room.pool.acquire() as connection, connection.transaction():
        assert await connection.fetchval("SELECT count(*) FROM ingest.teams") == 0
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute("INSERT INTO ingest.teams (org_id, id, name) VALUES ('org_a', 'x', 'x')")


async def test_nothing_is_written_where_one_organisation_is_unknown(room: Room) -> None:
    with pytest.raises(UnknownOrganisation) as unknown:
        await room.store.write([read(team("t", "a"), "org_a"), read(team("t", "x"), "org_x")])
    assert unknown.value.org_id == "org_x"
    assert await room.current("teams", "name") == {}


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(batches=st.lists(st.lists(a_record(), min_size=1, max_size=6), max_size=4), together=st.booleans())
async def test_the_tables_agree_with_the_model(room: Room, batches: list[list[Any]], together: bool) -> None:
    """Batches one a transaction, and all of them in one, against the contract taken record by record."""
    await room.admin.execute("DELETE FROM ingest.leads; DELETE FROM ingest.tombstones")
    model = Model()
    batches = [[read(as_lead(r), "org_a") for r in batch] for batch in batches]
    accepted = sum([model.take(record) for batch in batches for record in batch])
    if together:

        async def all_batches() -> Any:
            for batch in batches:
                yield batch

        assert (await room.store.write_together(all_batches)).accepted == accepted
    else:
        assert sum([(await room.store.write(batch)).accepted for batch in batches]) == accepted
    names = {id_: entry.row[1] for id_, entry in model.entries.items() if entry.row is not None}
    assert await room.current("leads", "name") == names
    assert await room.current("leads", "version") == {id_: model.entries[id_].seen for id_ in names}
    held = {id_: (e.seen, e.erased) for id_, e in model.entries.items() if e.row is None and (e.erased or e.seen is not None)}
    tombstones = await room.admin.fetch("SELECT id, version, erased FROM ingest.tombstones")
    assert {id_: (version, erased) for id_, version, erased in tombstones} == held
    if together:  # one transaction leaves one version, whatever happened inside
        assert await room.admin.fetchval("SELECT count(*) FROM ingest.leads") == len(names)


def as_lead(record: Any) -> dict[str, Any]:
    envelope = {"type": "lead", "id": record.id, "op": record.op, "version": record.version}
    return envelope if record.row is None else sample("lead") | envelope | {"data": {**SAMPLES["lead"], "name": str(record.row[0])}}


@pytest.mark.parametrize("seed", range(3))
async def test_racing_writers_lose_nothing(room: Room, seed: int) -> None:
    """Six writers, the same ids, versions in any order, deletes of ids never seen among them: the highest version wins everywhere."""
    rng = random.Random(seed)
    ids = [f"t{n}" for n in range(12)]
    records = [
        team(id_, f"{id_} at {v}", version=v) if rng.random() < 0.7 else team(id_, op="delete", version=v) for id_ in ids for v in range(20)
    ]
    rng.shuffle(records)
    batches = [records[n : n + 8] for n in range(0, len(records), 8)]
    results = []
    for n in range(0, len(batches), 6):
        results += await asyncio.gather(*[room.write(*batch) for batch in batches[n : n + 6]])
    assert sum(a + s for a, s in results) == len(records)
    last = {r["id"]: r for r in records if r["version"] == 19}
    assert await room.current("teams", "name") == {id_: r["data"]["name"] for id_, r in last.items() if "data" in r}
    dead = {id_: 19 for id_, r in last.items() if "data" not in r}
    assert {i: v for i, v in await room.admin.fetch("SELECT id, version FROM ingest.tombstones")} == dead


async def test_racing_writers_without_versions_leave_one_current_row(room: Room) -> None:
    await asyncio.gather(*[room.write(*[team(id_, f"{id_} by {n}") for id_ in IDS]) for n in range(12)])
    assert sorted(await room.current("teams", "name")) == IDS
    by = {name.rpartition(" ")[2] for name in (await room.current("teams", "name")).values()}
    assert len(by) == 1  # the last writer's batch is whole
