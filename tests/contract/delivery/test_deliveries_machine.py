"""The life of deliveries as a state machine on a real PostgreSQL: whatever comes of attempts, whoever dies, whatever people do meanwhile, and two processes.

The carriers are played: an attempt ends well, ill, or not at all. What is there is counted, so that nothing is brought twice that nobody asked for.
"""

import asyncio
import random
from collections import Counter
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule, run_state_machine_as_test

from services.delivery.core.destinations.life import Arrived, Pointless, Refused, Waited
from services.delivery.core.destinations.problems import Code
from services.delivery.destinations.deliveries import Deliveries
from services.delivery.destinations.ledger import NotOurs, PostgresLedger
from services.delivery.destinations.owned import Destinations
from services.delivery.destinations.queue import GONE_MEANWHILE, Claim, Result
from services.delivery.destinations.store import Problem
from services.delivery.destinations.trying import Probes
from shared.database import create_pool
from shared.errors import ApiError
from shared.outbox import Outbox
from shared.sealing import DESTINATION_SECRETS, Seal
from shared.settings import StoreSettings
from shared.storage import open_store
from tests.conftest import Database
from tests.integration.delivery.destinations.folder import FolderCarrier, refused
from tests.integration.delivery.destinations.room import SECRET_KEY, Process, Room, new_org, of
from tests.integration.delivery.webhooks.room import Clock

LEASE, FILE, KIND = 60, "leads.csv", "sftp"
which = st.integers(0, 10**6)
ENDED = ("delivered", "failed", "cancelled")


class Rooms:
    def __init__(self, database: Database, folder: Path) -> None:
        self.runner, self.stack = asyncio.Runner(), AsyncExitStack()
        self.run(self._open(database, folder))

    async def _open(self, database: Database, folder: Path) -> None:
        url, objects = database.as_service("delivery"), open_store(StoreSettings(store=f"file://{folder}"))
        pool = await self.stack.enter_async_context(create_pool(url, "test", 8))
        self.room = Room(url, pool, objects, Clock(), folder)
        self.carrier = FolderCarrier()
        self.process: Process = await self.stack.enter_async_context(self.room.process(started=False, carrier=self.carrier))

    def run(self, work: Any) -> Any:
        async def whole() -> Any:
            return await work

        return self.runner.run(whole())

    def close(self) -> None:
        self.run(self.stack.aclose())
        self.runner.close()


class Life(RuleBasedStateMachine):
    """`brought`: how often each delivery's file was made whole; `asked`: how often that was wanted. `held_by`: claims that somebody still works on."""

    rooms: Rooms

    @initialize(destinations=st.integers(1, 2))
    def begin(self, destinations: int) -> None:
        room, process = self.rooms.room, self.rooms.process
        self.room, self.queue, self.store, self.told = room, process.parts.queue, process.parts.store, process.told
        self.told.failed_of.clear()
        self.told.paused_of.clear()
        outbox, seal = Outbox(room.pool, None, "delivery"), Seal([SECRET_KEY], DESTINATION_SECRETS)
        self.deliveries = Deliveries(self.store, outbox, _nothing, room.clock)
        self.owned = Destinations(self.store, seal, None, self.told, outbox, None, _nothing)  # type: ignore[arg-type]
        self.tests = Probes(self.store, seal, {KIND: self.rooms.carrier}, 5, self.told, outbox, _nothing)
        self.org, self.working = new_org(), dict[str, Claim]()
        self.ledgers = dict[tuple[str, str], PostgresLedger]()  # as each claim found them when it began
        self.brought, self.wanted, self.failures = Counter[str](), Counter[str](), Counter[str]()
        self._run(room.rows("TRUNCATE delivery.deliveries, delivery.destinations CASCADE"), admin=True)
        self.places = [self._run(room.destination(self.org, kind=KIND)) for _ in range(destinations)]
        self.exports: list[str] = []
        self._look()

    def _run(self, work: Any, admin: bool = False) -> Any:
        if admin:
            work.close()

            async def truncate() -> None:
                async with self.room.pool.acquire() as connection:
                    await connection.execute("SET ROLE none")
                    await connection.execute("TRUNCATE delivery.deliveries, delivery.destinations, exports.exports CASCADE")
                    await connection.execute("RESET ROLE")

            work = truncate()
        return self.rooms.run(work)

    def _look(self) -> None:
        self.rows = {row["id"]: row for row in self._run(self.room.rows("SELECT * FROM delivery.deliveries ORDER BY id"))}
        self.destinations = {row["id"]: row for row in self._run(self.room.rows("SELECT * FROM delivery.destinations"))}

    def _now(self) -> Any:
        return self.room.clock()

    # ---- what can happen

    @precondition(lambda self: len(self.exports) < 6)
    @rule()
    def an_export_ends(self) -> None:
        self.exports.append(
            self._run(self.room.completed(self.rooms.process, self.org, [{"type": KIND, "id": place} for place in self.places]))
        )
        self._look()
        for row in self.rows.values():
            if row["export_id"] == self.exports[-1]:
                self.wanted[row["id"]] += 1

    @rule()
    def a_process_claims(self) -> None:
        for claim in self._run(self.queue.claim(16, 8, LEASE)):
            assert self.rows[claim.id]["status"] == "pending"
            self.working[f"{claim.id}/{claim.claimed_by}"] = claim
            self.ledgers[claim.claimed_by, claim.id] = self._run(
                PostgresLedger.open(self.room.pool, self.org, claim.id, claim.claimed_by, self.room.clock)
            )
        self._look()

    def _chosen(self, number: int) -> Claim | None:
        keys = sorted(self.working)
        return self.working.pop(keys[number % len(keys)]) if keys else None

    @rule(number=which, how=st.sampled_from(["arrived", "again", "never", "later", "waited", "gone", "unknown"]))
    def an_attempt_ends(self, number: int, how: str) -> None:
        """`unknown`: the file is there, and its process dies before it has recorded more than that."""
        claim = self._chosen(number)
        if claim is None:
            return
        if how in ("arrived", "unknown") and not self._bring(claim):
            return
        if how == "unknown":
            return
        problem = None if how in ("arrived", "waited") else Problem(Code.gone if how == "gone" else Code.refused, GONE_MEANWHILE)
        happening = {
            "arrived": Arrived(), "again": Refused(True), "never": Refused(False), "later": Refused(True, 600.0), "waited": Waited(), "gone": Pointless(),
        }[how]  # fmt: skip
        before = self.rows[claim.id]
        recorded = self._run(self.queue.record(Result(claim, happening, problem, self._now(), 5)))
        self._look()
        mine = before["claimed_by"] == claim.claimed_by
        assert (recorded is not None) == mine
        if recorded is not None:
            after = self.rows[claim.id]
            assert after["claimed_by"] is None and after["attempts"] == before["attempts"] + (how not in ("waited", "gone"))
            self.failures[claim.id] += after["status"] == "failed"
            assert how != "arrived" or after["status"] == "delivered"
            assert how != "again" or after["status"] in (("failed",) if before["tries"] == 3 else ("pending", "held"))

    def _bring(self, claim: Claim) -> bool:
        """As a carrier does by its ledger; False where the claim turns out to be another's."""

        async def bring() -> bool:
            ledger = self.ledgers[claim.claimed_by, claim.id]
            if ledger.is_sent(FILE):
                return True
            try:
                await ledger.keep(FILE, "an upload's id")
                await ledger.sent(FILE, "there")
            except NotOurs:
                return False
            self.brought[claim.id] += 1
            return True

        return bool(self._run(bring()))

    @rule(seconds=st.sampled_from([1, 61, 400, 1100, 2200]))
    def time_passes(self, seconds: int) -> None:
        self.room.clock.advance(seconds=seconds)

    @rule()
    def leases_are_renewed(self) -> None:
        """Of those who still work; who has lost the claim hears of it and stops."""
        claims = list(self.working.values())
        ours = self._run(self.queue.renew(claims, LEASE))
        for key, claim in list(self.working.items()):
            mine = self.rows[claim.id]["claimed_by"] == claim.claimed_by
            assert (claim.id in ours) >= mine
            if not mine:
                del self.working[key]
        self._look()

    @rule()
    def a_process_ends_in_order(self) -> None:
        self._run(self.queue.hand_back(list(self.working.values())))
        self.working.clear()
        self._look()

    @rule(number=which, what=st.sampled_from(["pause", "resume", "test", "test fails"]))
    def somebody_sees_to_a_destination(self, number: int, what: str) -> None:
        place = self.places[number % len(self.places)]
        if what.startswith("test"):
            self.rooms.carrier.refusals = [refused()] if what == "test fails" else []
            self._run(self.tests.run(of(self.org), place))
        else:
            self._run(getattr(self.owned, what)(of(self.org), place))
        self._look()

    @rule(number=which)
    def somebody_asks_again(self, number: int) -> None:
        ids = sorted(self.rows)
        if not ids:
            return
        row = self.rows[ids[number % len(ids)]]
        try:
            self._run(self.deliveries.redeliver(of(self.org), row["id"]))
        except ApiError as error:
            assert error.status == 409
            return
        if row["status"] == "delivered":
            self.wanted[row["id"]] += 1
        self._look()
        assert self.rows[row["id"]]["status"] == "pending" and self.rows[row["id"]]["tries"] == 0

    @rule(number=which)
    def an_export_expires(self, number: int) -> None:
        if self.exports:
            self._run(self.room.change_export(self.exports[number % len(self.exports)], "status = 'expired'"))
            self._run(self.queue.cancel_pointless())
            self._look()

    # ---- what always holds

    @invariant()
    def nothing_is_lost_or_brought_twice(self) -> None:
        for row in getattr(self, "rows", {}).values():
            assert self.brought[row["id"]] <= self.wanted[row["id"]]
            assert row["status"] != "delivered" or self.brought[row["id"]] >= 1
            assert row["tries"] <= 4 and (row["status"] == "pending") == (row["due_at"] is not None)
            assert (row["ended_at"] is not None) == (row["status"] in ENDED)
            destination = self.destinations[row["destination_id"]]
            assert destination["paused_reason"] is None or row["status"] != "pending" or row["claimed_by"] is not None
            assert row["status"] != "held" or destination["paused_reason"] is not None

    @invariant()
    def one_at_a_time(self) -> None:
        if hasattr(self, "rows"):
            busy = Counter(r["destination_id"] for r in self.rows.values() if r["claimed_by"] is not None and r["due_at"] > self._now())
            assert not busy or max(busy.values()) == 1

    @invariant()
    def who_must_know_is_told_once(self) -> None:
        if hasattr(self, "told"):
            assert Counter(each.delivery_id for each in self.told.failed_of) == +self.failures
            assert all(each.failures >= 3 for each in self.told.paused_of)

    def teardown(self) -> None:
        """In the end the destinations are well: whatever is wanted and still there arrives."""
        if not hasattr(self, "rows"):
            return
        self.working.clear()
        for place in self.places:
            self._run(self.owned.resume(of(self.org), place))
        for _ in range(40):
            self.room.clock.advance(seconds=3700)
            claims = self._run(self.queue.claim(16, 8, LEASE))
            if not claims:
                break
            self._look()
            for claim in claims:
                self.ledgers[claim.claimed_by, claim.id] = self._run(
                    PostgresLedger.open(self.room.pool, self.org, claim.id, claim.claimed_by, self.room.clock)
                )
                assert self._bring(claim)
                self._run(self.queue.record(Result(claim, Arrived(), None, self._now(), 5)))
        self._look()
        assert all(row["status"] in ENDED for row in self.rows.values())
        self.nothing_is_lost_or_brought_twice()


def _nothing(*_: Any) -> None:
    return None


def test_deliveries_live_as_they_should(database: Database, tmp_path: Path) -> None:
    rooms = Rooms(database, tmp_path)
    Life.rooms = rooms
    random.seed(0)
    try:
        run_state_machine_as_test(  # type: ignore[no-untyped-call]
            Life,
            settings=settings(
                max_examples=20, stateful_step_count=30, deadline=None, phases=(Phase.reuse, Phase.generate),
                suppress_health_check=list(HealthCheck),
            ),
        )  # fmt: skip
    finally:
        rooms.close()
