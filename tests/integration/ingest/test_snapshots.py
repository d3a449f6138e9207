"""Every snapshot that an export could hold goes on seeing exactly the rows of its instant, whatever is written afterwards."""

import copy
from typing import Any

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.ingest.core.records import Record
from tests.integration.ingest.room import Room, read
from tests.integration.ingest.test_store import as_lead
from tests.unit.ingest.test_fold import Model, a_record

SEEN = """SELECT id, name, version FROM ingest.leads WHERE org_id = $2 AND pg_visible_in_snapshot(added, $1::text::pg_snapshot)
          AND (ended IS NULL OR NOT pg_visible_in_snapshot(ended, $1::text::pg_snapshot))"""


@st.composite
def a_batch(draw: st.DrawFn) -> list[tuple[str, Record]]:
    return draw(st.lists(st.tuples(st.sampled_from(["org_a", "org_b"]), a_record()), min_size=1, max_size=7))


def rows_of(model: Model, erased: set[str]) -> set[tuple[Any, ...]]:
    return {(id_, entry.row[1], entry.seen) for id_, entry in model.entries.items() if entry.row is not None and id_ not in erased}


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(batches=st.lists(a_batch(), min_size=1, max_size=5))
async def test_snapshots_see_what_was_there(room: Room, batches: list[list[tuple[str, Record]]]) -> None:
    await room.admin.execute("DELETE FROM ingest.leads; DELETE FROM ingest.tombstones")
    models = {"org_a": Model(), "org_b": Model()}
    instants: list[tuple[str, dict[str, Model]]] = []
    for batch in batches:
        records = [read(as_lead(record), org_id) for org_id, record in batch]
        accepted = sum([models[record.org_id or ""].take(record) for record in records])
        assert (await room.store.write(records)).accepted == accepted
        instants.append((await room.admin.fetchval("SELECT pg_current_snapshot()::text"), copy.deepcopy(models)))
    for snapshot, then in instants:
        for org_id, model in then.items():
            erased = {id_ for id_, entry in models[org_id].entries.items() if entry.erased}  # the one exception: every version is gone
            seen = [tuple(row) for row in await room.admin.fetch(SEEN, snapshot, org_id)]
            assert len(seen) == len(set(seen)) and set(seen) == rows_of(model, erased)


async def test_a_repeat_without_version_leaves_no_version_and_a_higher_version_does(room: Room) -> None:
    lead = as_lead(Record("lead", "a", "upsert", 1, None, (1,)))
    again: Any = msgspec.json.decode(msgspec.json.encode(lead))
    await room.write(lead)
    await room.write({**again, "version": None}, as_lead(Record("lead", "b", "upsert", 1, None, (2,))))
    assert await room.versions("leads", "a") == [(1, False)]
    await room.write({**again, "version": 2})
    assert await room.versions("leads", "a") == [(1, True), (2, False)]
