"""Several schedulers, those that die in between, and clocks that disagree: windows run once all the same. On a real PostgreSQL."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any

import asyncpg
import httpx
import pytest

from services.export_request.app import Parts, assemble
from services.export_request.intake import Intake
from services.export_request.schedules.scheduler import Scheduler
from shared.database import create_pool
from tests.conftest import Database
from tests.contract.export_request.conftest import Caller, World, settings_for, world_of
from tests.contract.export_request.scheduling import HOUR, NOON, look, make, runs, tick, windows_of


@pytest.fixture
async def caller(world: World) -> Caller:
    world.clock.now = NOON
    return await world.organisation()


async def beside(database: Database, world: World) -> tuple[asyncpg.Pool, Parts]:
    pool = create_pool(settings_for(database).export_request_database_url, "second", 8)
    await pool
    return pool, assemble(settings_for(database), pool, None, world.clock, time=world.clock.of_database)


async def test_two_schedulers_run_each_window_once(world: World, caller: Caller, database: Database) -> None:
    made = [await make(caller, name=f"S{n}", frequency=f) for n, f in enumerate(["hourly"] * 12)]
    pool, second = await beside(database, world)
    world.clock.forward(2 * HOUR)
    await asyncio.gather(*(s.step() for s in [world.parts.scheduler, second.scheduler] * 4))
    await asyncio.gather(*(s.step() for s in [world.parts.scheduler, second.scheduler] * 4))
    while await world.parts.scheduler.step():
        pass
    await pool.close()
    counted = await world.admin.fetch(
        "SELECT schedule_id, count(*) AS runs, count(DISTINCT export_id) AS exports FROM exports.schedule_runs GROUP BY schedule_id"
    )
    assert {(row["runs"], row["exports"]) for row in counted} == {(1, 1)} and len(counted) == len(made)
    assert await world.admin.fetchval("SELECT count(*) FROM exports.exports") == len(made)


class Dies(Exception):
    pass


async def test_a_scheduler_that_dies_between_deciding_and_starting_or_before_its_commit_leaves_the_window_to_others(
    world: World, caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = await make(caller)
    world.clock.forward(2 * HOUR)
    assert await world.parts.scheduler.decide_due() == 1  # and dies here: the run waits
    assert await world.parts.scheduler.decide_due() == 0
    accept: Callable[..., Awaitable[Any]] = Intake.in_transaction

    async def and_die(intake: Intake, *arguments: Any) -> Any:
        await accept(intake, *arguments)
        raise asyncio.CancelledError  # the process ends; nothing of the transaction is committed

    monkeypatch.setattr(Intake, "in_transaction", and_die)
    with pytest.raises(asyncio.CancelledError):
        await world.parts.scheduler.start_due()
    assert await world.admin.fetchval("SELECT count(*) FROM exports.exports") == 0 and await world.outbox() == []
    monkeypatch.undo()
    await tick(world)
    [run] = await runs(caller, made["id"])
    assert (run["status"], run["attempts"]) == ("completed", 1)


async def test_a_defect_ends_the_run_and_not_the_scheduler(world: World, caller: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    made = await make(caller)
    world.clock.forward(2 * HOUR)

    async def breaks(*_: Any) -> Any:
        raise Dies

    monkeypatch.setattr(Intake, "in_transaction", breaks)
    await world.parts.scheduler.step()
    await world.parts.scheduler.step()
    monkeypatch.undo()
    [run] = await runs(caller, made["id"])
    assert (run["status"], run["reason"]["code"]) == ("failed", "start_failed")
    world.clock.forward(HOUR)
    await tick(world)
    assert (await runs(caller, made["id"]))[0]["status"] == "completed"


async def test_nothing_is_decided_while_the_clocks_disagree_and_a_clock_set_back_repeats_nothing(world: World, caller: Caller) -> None:
    made = await make(caller)
    ahead = Scheduler(
        world.parts.scheduler._pool,
        world.parts.scheduler._intake,
        world.parts.outbox,
        "0" * 64,
        0,
        world.clock,
        lambda _: _later(world.clock.now, 2 * HOUR),
    )
    assert await ahead.decide_due() == 0 and await runs(caller, made["id"]) == []
    world.clock.forward(2 * HOUR)
    await tick(world)
    [run] = await runs(caller, made["id"])
    world.clock.forward(-2 * HOUR)
    await tick(world)
    world.clock.forward(2 * HOUR)
    await tick(world)
    assert [r["id"] for r in await runs(caller, made["id"])] == [run["id"]]


async def _later(now: datetime, seconds: float) -> datetime:
    return now + timedelta(seconds=seconds)


async def test_schedules_of_one_moment_are_spread_and_their_windows_are_not_moved(world: World, caller: Caller) -> None:
    made = [await make(caller, name=f"S{n}") for n in range(40)]
    due = [datetime.fromisoformat(s["next_run_at"]) for s in made]
    ends = datetime.fromisoformat("2026-03-28T14:00:00+00:00")
    assert {s["next_window"]["to"] for s in made} == {"2026-03-28T14:00:00.000Z"}
    late = sorted((at - ends).total_seconds() for at in due)
    assert 0 <= late[0] < 30 and 90 < late[-1] <= 120 and len(set(due)) == 40
    assert [(await look(caller, s["id"]))["next_run_at"] for s in made[:5]] == [s["next_run_at"] for s in made[:5]]


async def test_schedules_survive_a_new_process(database: Database) -> None:
    async with world_of(database) as before:
        before.clock.now = NOON
        caller = await before.organisation()
        made = await make(caller)
        await before.parts.scheduler.decide_due()
    async with world_of(database, keep=True) as after:
        after.clock.now = NOON + timedelta(hours=30)
        there = Caller(after, caller.org_id, caller.api_key)
        await tick(after)
        found = await runs(there, made["id"])
        assert len(found) == 29 and {r["status"] for r in found} == {"completed"}
        pairs = windows_of(found)
        assert all(newer[0] == older[1] for newer, older in itertools.pairwise(pairs)), "touching, none left out"
        assert isinstance(there.world.http, httpx.AsyncClient)
