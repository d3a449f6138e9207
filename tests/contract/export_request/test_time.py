"""What time alone brings about."""

from tests.contract.export_request.conftest import LEADS, World


async def test_a_completed_export_expires_and_stays_readable(world: World) -> None:
    caller = await world.organisation(leads=2)
    export = await caller.completed(LEADS | {"expires_in_seconds": 60})
    world.clock.forward(59)
    await world.parts.sweeper.sweep()
    assert (await caller.get(export["id"]))["status"] == "completed"
    world.clock.forward(2)
    await world.parts.sweeper.sweep()
    await world.parts.sweeper.sweep()
    await world.outbox()
    expired = await caller.get(export["id"])
    assert (expired["status"], expired["completed_at"], expired["manifest_url"]) == ("expired", export["completed_at"], None)
    assert world.events(export["id"])[-1].event == "expired"
    assert world.discards(export["id"]) == [False, True]
    assert (await caller.call("DELETE", f"/v1/exports/{export['id']}")).status_code == 204


async def test_an_export_that_nothing_is_heard_of_fails_as_stalled(world: World) -> None:
    caller = await world.organisation(leads=30)
    export = await caller.ask()
    await world.planned()
    (first, *_) = world.chunks(await world.outbox())
    world.clock.forward(3000)
    await world.formatted(first)
    world.clock.forward(3000)
    await world.parts.sweeper.sweep()
    assert (await caller.get(export["id"]))["status"] == "formatting"
    world.clock.forward(700)
    await world.parts.sweeper.sweep()
    failed = await caller.get(export["id"])
    assert (failed["status"], failed["error"]["code"]) == ("failed", "stalled")


async def test_waiting_for_a_turn_is_not_stalling(world: World) -> None:
    large, small = await world.organisation(leads=100), await world.organisation(leads=12)
    await large.ask()
    await world.planned()
    waiting = await small.ask()
    await world.planned()
    world.clock.forward(4000)
    await world.parts.sweeper.sweep()
    assert (await small.get(waiting["id"]))["status"] == "planning"


async def test_progress_is_told_once_a_second_and_the_estimate_is_measured(world: World) -> None:
    caller = await world.organisation(leads=40)
    export = await caller.ask()
    await world.planned()
    chunks = world.chunks(await world.outbox())
    world.clock.forward(10)
    for chunk in chunks[:2]:
        await world.formatted(chunk)
    await world.outbox()
    assert [e.event for e in world.events(export["id"])].count("progress") == 1
    assert (await caller.get(export["id"]))["progress"]["eta_seconds"] == 10
    world.clock.forward(1)
    await world.formatted(chunks[2])
    await world.outbox()
    assert [e.event for e in world.events(export["id"])].count("progress") == 2


async def test_old_keys_and_claims_are_forgotten_but_not_those_of_exports_that_are_there(world: World) -> None:
    caller = await world.organisation()
    export = await caller.ask(LEADS, key="kept")
    await world.admin.execute("UPDATE exports.idempotency_keys SET created_at = now() - interval '40 days'")
    await world.parts.sweeper.prune()
    assert (await caller.ask(LEADS, key="kept"))["id"] == export["id"]
    for _ in range(2):
        await caller.call("DELETE", f"/v1/exports/{export['id']}")
    await world.parts.sweeper.prune()
    assert (await caller.ask(LEADS, key="kept"))["id"] != export["id"]


async def test_what_ended_long_ago_is_forgotten_and_what_is_kept_is_not(world: World) -> None:
    caller = await world.organisation(leads=2)
    labelled = LEADS | {"labels": {"team": "sales"}}
    expired, held, deleted = [await caller.completed(labelled | {"expires_in_seconds": 60}) for _ in range(3)]
    running = await caller.ask(labelled)
    await caller.call("PUT", f"/v1/exports/{held['id']}/hold", json={"reason": "why"})
    await caller.call("DELETE", f"/v1/exports/{deleted['id']}")
    world.clock.forward(3600)
    await world.parts.sweeper.sweep()
    world.clock.forward(399 * 86_400)
    await world.parts.sweeper.prune()
    listed = [e["id"] for e in (await caller.call("GET", "/v1/exports?label=team=sales")).json()["data"]]
    assert sorted(listed) == sorted([expired["id"], held["id"], running["id"]])
    world.clock.forward(2 * 86_400)
    await world.parts.sweeper.prune()
    kept = {row[0] for row in await world.admin.fetch("SELECT id FROM exports.exports WHERE org_id = $1", caller.org_id)}
    assert kept == {held["id"], running["id"]}
    assert await world.admin.fetchval("SELECT count(*) FROM exports.labels WHERE export_id = $1", expired["id"]) == 0
