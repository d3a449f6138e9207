"""Pruning takes every superseded version that no kept instant sees, and no other, whatever comes between; against looking at every version anew."""

import secrets
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.ingest.pruning.pruner import TABLES, Pruner
from tests.integration.ingest.room import ORGS, Room, settled, team

SEEN = """SELECT id, version, name FROM ingest.teams WHERE org_id = $2 AND pg_visible_in_snapshot(added, $1::text::pg_snapshot)
          AND (ended IS NULL OR NOT pg_visible_in_snapshot(ended, $1::text::pg_snapshot)) ORDER BY id, version"""
# Versions that ended before the mark, with whether a kept instant sees them.
LEFT = """SELECT EXISTS (SELECT FROM exports.kept_snapshots k WHERE k.org_id = v.org_id AND pg_visible_in_snapshot(v.added, k.snapshot::pg_snapshot)
          AND NOT pg_visible_in_snapshot(v.ended, k.snapshot::pg_snapshot)) FROM ingest.{table}_ended v
          WHERE v.ended < (SELECT before FROM ingest.prunings p WHERE p.org_id = v.org_id)"""
# Everything that has ended by now, had ended long ago.
AGED = """WITH old AS (DELETE FROM ingest.horizons) INSERT INTO ingest.horizons (at, ended_before) SELECT now() - interval '30 days', pg_snapshot_xmin(pg_current_snapshot())"""
EXPORT = """INSERT INTO exports.exports (id, org_id, request, dataset, formats, status, snapshot, spec, created_at, expires_at, progressed_at, since, since_snapshot)
            VALUES ($1, $2, '{}', 'leads', '{csv}', $3, coalesce($4, pg_current_snapshot()::text), '{}', now(), now(), now(), $5, $6) RETURNING snapshot"""


class House:
    """The room with exports beside it: what each kept instant saw, by its snapshot."""

    def __init__(self, room: Room, at_once: int) -> None:
        self.room, self.pruner = room, Pruner(room.pool, days=7, seconds=3600, versions_at_once=at_once)
        self.kept: dict[str, tuple[str, str, str | None]] = {}  # export → organisation, its instant, its base's
        self.saw: dict[tuple[str, str], Any] = {}

    async def look(self, org_id: str, snapshot: str) -> Any:
        return [tuple(row) for row in await self.room.admin.fetch(SEEN, snapshot, org_id)]

    async def accept(self, org_id: str, base: str | None = None, rerun: str | None = None) -> None:
        id_, since = f"exp_{secrets.token_hex(6)}", self.kept[base][1] if base else None
        again = self.kept[rerun][1] if rerun else None
        snapshot = await self.room.admin.fetchval(EXPORT, id_, org_id, "awaiting_approval", again, base, since)
        self.kept[id_] = (org_id, snapshot, since)
        if (org_id, snapshot) not in self.saw:
            self.saw[org_id, snapshot] = await self.look(org_id, snapshot)

    async def end(self, export_id: str, how: str) -> None:
        del self.kept[export_id]
        change = "deleted_at = now(), status = 'completed'" if how == "deleted" else f"status = '{how}'"
        await self.room.admin.execute(f"UPDATE exports.exports SET {change} WHERE id = $1", export_id)

    async def prune(self) -> None:
        await settled(self.room.admin)
        await self.room.admin.execute(AGED)
        await self.pruner.round()
        for table in TABLES:
            assert all(row[0] for row in await self.room.admin.fetch(LEFT.format(table=table))), table
        for org_id, snapshot, since in self.kept.values():
            for each in (snapshot, since):
                if each is not None:
                    assert await self.look(org_id, each) == self.saw[org_id, each]


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
async def test_every_kept_instant_sees_what_it_saw_and_all_else_goes(room: Room, data: st.DataObject) -> None:
    for table in ("ingest.teams", "ingest.tombstones", "ingest.prunings", "ingest.arrivals", "exports.exports"):
        await room.admin.execute(f"DELETE FROM {table}")
    house = House(room, data.draw(st.sampled_from([1, 2, 7])))
    for number in range(data.draw(st.integers(5, 20))):
        org_id = data.draw(st.sampled_from(ORGS))
        mine = sorted(id_ for id_, (org, *_) in house.kept.items() if org == org_id)
        match data.draw(st.sampled_from(["put", "put", "put", "delete", "accept", "accept", "end", "prune"])):
            case "put":
                ids = data.draw(st.lists(st.sampled_from("abcd"), min_size=1, max_size=3, unique=True))
                await room.write(*(team(id_, f"{id_}{number}") for id_ in ids), org_id=org_id)
            case "delete":
                await room.write(team(data.draw(st.sampled_from("abcd")), op="delete"), org_id=org_id)
            case "accept":
                base, rerun = (data.draw(st.sampled_from([None, *mine])) for _ in range(2))
                await house.accept(org_id, base, rerun)
            case "end" if mine:
                await house.end(data.draw(st.sampled_from(mine)), data.draw(st.sampled_from(["expired", "failed", "cancelled", "deleted"])))
            case "prune":
                await house.prune()
    for export_id in list(house.kept):
        await house.end(export_id, "expired")
    await house.prune()
    assert await room.admin.fetchval("SELECT count(*) FROM ingest.teams_ended") == 0


async def test_what_ended_a_while_ago_stays_until_a_recorded_hour_is_old_enough(room: Room) -> None:
    pruner = Pruner(room.pool, days=7, seconds=3600)
    await room.write(team("a", "one"))
    await room.write(team("a", "two"))
    await settled(room.admin)
    assert await pruner.round() == 0
    await room.admin.execute("UPDATE ingest.horizons SET at = at - interval '6 days'")
    assert await pruner.round() == 0
    await room.write(team("a", "three"))
    await room.admin.execute("UPDATE ingest.horizons SET at = at - interval '6 days'")
    assert await pruner.round() == 1, "the first replacement is older than that hour, the second isn't"
    assert await room.admin.fetchval("SELECT name FROM ingest.teams_ended") == "two"
    assert await pruner.round() == 0


async def test_scores_contacts_and_arrivals_go_too_and_of_a_large_batch_all(room: Room) -> None:
    await settled(room.admin)
    await room.admin.execute(AGED)
    await Pruner(room.pool, days=7, seconds=3600).round()
    added = {"type": "contact", "id": "c", "data": {"created_at": "2026-01-01T00:00:00Z"}}
    await room.write(added, *(team(f"t{n}", "one") for n in range(50)))
    await room.write({**added, "data": {**added["data"], "name": "Ada"}}, *(team(f"t{n}", "two") for n in range(50)))
    await room.admin.execute("""INSERT INTO ingest.lead_scores_ended (org_id, id, ended, score, reasons, model_version, version)
                                VALUES ('org_a', 'l', pg_current_xact_id(), 1, '[]', 0, 1)""")
    await settled(room.admin)
    await room.admin.execute(AGED)
    assert await Pruner(room.pool, days=7, seconds=3600, versions_at_once=7).round() == 52
    assert await room.admin.fetchval("SELECT count(*) FROM ingest.arrivals") == 0


async def test_one_process_at_a_time_prunes_an_organisation_and_a_dead_one_is_followed(room: Room) -> None:
    pruner = Pruner(room.pool, days=7, seconds=3600)
    await room.write(team("a", "one"))
    await room.write(team("a", "two"))
    horizon = int(await room.admin.fetchval("SELECT pg_snapshot_xmax(pg_current_snapshot())::text"))
    todo = await pruner.mark("org_a", horizon)
    assert todo is not None
    assert await pruner.mark("org_a", horizon) is None
    await room.admin.execute("UPDATE ingest.prunings SET lease_until = now()")  # it never came back
    again = await pruner.mark("org_a", horizon)
    assert again is not None
    assert await pruner.prune(again) == 1
    assert await pruner.prune(todo) == 0
