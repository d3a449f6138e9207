"""Exports that may hold a person who was erased: running ones end, completed ones lose their files; others stay."""

from tests.contract.export_request.conftest import LEADS, World

ERASE = "INSERT INTO ingest.erasures (org_id, oldest) VALUES ($1, $2::text::xid8)"


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
    assert world.events(done["id"])[-1].event == "expired"
    assert world.discards(done["id"])[-1] is True
    ended = await caller.get(running["id"])
    assert (ended["status"], ended["error"]["code"]) == ("failed", "erased")
    assert world.discards(running["id"])[-1] is True
    assert (await other.get(theirs["id"]))["status"] == "completed"
    assert (await caller.get(after["id"]))["status"] not in ("failed", "expired")


async def test_an_export_that_saw_nothing_of_it_stays(world: World) -> None:
    caller = await world.organisation(leads=2)
    done = await caller.completed(LEADS)
    await world.admin.execute(ERASE, caller.org_id, await world.admin.fetchval("SELECT pg_current_xact_id()::text"))
    await world.parts.sweeper.sweep()
    assert (await caller.get(done["id"]))["status"] == "completed"
