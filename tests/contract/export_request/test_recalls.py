"""Exports that may hold a person who was erased: running ones end, completed ones lose their files; others stay."""

import json
from unittest.mock import ANY

from tests.contract.export_request.conftest import LEADS, World

ERASE = "INSERT INTO ingest.erasures (org_id, oldest, id, kind) VALUES ($1, $2::text::xid8, 'era_' || $1, 'lead')"
LISTED = "SELECT export_id, ended_as, files::text FROM exports.recalls WHERE erasure_id = 'era_' || $1 ORDER BY recalled_at, ended_as"


async def test_what_may_hold_an_erased_person_is_recalled(world: World) -> None:
    caller, other = await world.organisation(leads=2), await world.organisation(leads=2)
    done, theirs = await caller.completed(LEADS), await other.completed(LEADS)
    running = await caller.ask()
    await world.planned()
    await world.admin.execute(ERASE, caller.org_id, "3")
    after = await caller.ask()
    await world.parts.sweeper.sweep()
    await world.outbox()
    recalled = await caller.get(done["id"])
    assert (recalled["status"], recalled["manifest_url"]) == ("expired", None)
    assert [m.event for m in world.events(done["id"])[-2:]] == ["expired", "recalled"]
    assert world.discards(done["id"])[-1] is True
    ended = await caller.get(running["id"])
    assert (ended["status"], ended["error"]["code"]) == ("failed", "erased")
    assert [m.event for m in world.events(running["id"])[-2:]] == ["failed", "recalled"]
    assert world.discards(running["id"])[-1] is True
    listed = {row["export_id"]: (row["ended_as"], json.loads(row["files"])) for row in await world.admin.fetch(LISTED, caller.org_id)}
    assert listed == {done["id"]: ("completed", [done["files"][0]["name"]]), running["id"]: (ANY, [])}
    assert (await other.get(theirs["id"]))["status"] == "completed"
    assert (await caller.get(after["id"]))["status"] not in ("failed", "expired")


async def test_an_export_that_saw_nothing_of_it_stays(world: World) -> None:
    caller = await world.organisation(leads=2)
    done = await caller.completed(LEADS)
    await world.admin.execute(ERASE, caller.org_id, await world.admin.fetchval("SELECT pg_current_xact_id()::text"))
    await world.parts.sweeper.sweep()
    assert (await caller.get(done["id"]))["status"] == "completed"


async def test_an_erasure_is_watched_for_exports_that_were_being_accepted(world: World) -> None:
    """An export can be accepted at an instant from before the erasure, and show up only after it."""
    caller = await world.organisation(leads=2)
    late = await caller.ask()
    await world.planned()
    await world.admin.execute(ERASE, caller.org_id, "3")
    await world.admin.execute("UPDATE exports.exports SET deleted_at = now() WHERE id = $1", late["id"])  # as if it weren't committed yet
    await world.parts.sweeper.sweep()
    await world.admin.execute("UPDATE exports.exports SET deleted_at = NULL WHERE id = $1", late["id"])
    await world.parts.sweeper.sweep()
    assert (await caller.get(late["id"]))["error"]["code"] == "erased"
    await world.admin.execute("UPDATE ingest.erasures SET erased_at = now() - interval '1 hour' WHERE org_id = $1", caller.org_id)
    await world.parts.sweeper.sweep()
    assert await world.admin.fetchval("SELECT watched FROM ingest.erasures WHERE org_id = $1", caller.org_id) is False
