"""The life of exports as a state machine on a real PostgreSQL: whatever comes, however often, in any order, and two things at once.

The other rooms are played: a formatter that answers late, twice, wrongly or with a failure; a delivery that publishes too early, twice or with
other rows; callers who cancel, delete, run again and look at what isn't theirs; time that passes. In the end all of them are honest, and every
export ends.
"""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from shared.messages import AssembleFile, ChunkFailed, FormatChunk
from tests.conftest import Database
from tests.contract.export_request.conftest import EMPTIED, Caller, World, incoming, world_of

ORDER = [
    "accepted",
    "awaiting_approval",
    "planning",
    "formatting",
    "assembling",
    "publishing",
    "completed",
    "failed",
    "cancelled",
    "expired",
]
ENDS = {"completed", "failed", "cancelled"}
IN_FLIGHT_MAX, EXPORTS_MAX, LEADS = 3, 5, (0, 1, 8, 25, 34)
SETTINGS = {
    "chunk_rows_max": 10,
    "express_rows_max": 8,
    "chunks_in_flight_max": IN_FLIGHT_MAX,
    "express_chunks_in_flight_max": 1,
    "stalled_seconds": 3600,
}
BODIES: list[dict[str, Any]] = [
    {"dataset": "leads", "format": "csv", "expires_in_seconds": 60}, {"dataset": "leads", "formats": ["csv", "json"], "expires_in_seconds": 60},
    {"dataset": "leads", "format": "csv", "max_rows_per_file": 12, "expires_in_seconds": 60}, {"dataset": "leads", "format": "jsonl"},
]  # fmt: skip
# As they lie in the table, the deleted ones too.
ROWS = "SELECT e.*, (SELECT sum((f ->> 'rows')::bigint) FROM jsonb_array_elements(e.files::jsonb) f) AS published FROM exports.exports e"
IN_FLIGHT = "SELECT count(*) FROM exports.chunks WHERE state = 'released' AND NOT express"  # the other lane's cap is soft
which = st.integers(0, 10**6)
Doing = Callable[[], Awaitable[None]]


class Rooms:
    """The service on its database and what is known of it from outside, for one example after the other."""

    def __init__(self, database: Database) -> None:
        self.runner = asyncio.Runner()
        self.stack = AsyncExitStack()
        self.world: World = self.run(self.stack.enter_async_context(world_of(database, **SETTINGS)))
        self.callers: list[Caller] = [self.run(self.world.organisation(leads=leads)) for leads in LEADS]
        # Of two, exports of more than 20 rows wait for somebody else's approval.
        self.approvers: dict[str, Caller] = {caller.org_id: self.run(self._approver(caller)) for caller in self.callers}
        for caller in self.callers[2:4]:
            self.run(caller.call("PATCH", "/v1/settings", json={"approval_rows_threshold": 20}))

    async def _approver(self, caller: Caller) -> Caller:
        made = await caller.call("POST", "/v1/api-keys", json={"name": "approver", "scopes": ["admin"]})
        return Caller(self.world, caller.org_id, made.json()["key"])

    def run(self, work: Any) -> Any:
        async def whole() -> Any:
            return await work

        return self.runner.run(whole())

    def close(self) -> None:
        self.run(self.stack.aclose())
        self.runner.close()


class Exports(RuleBasedStateMachine):
    """`seen`: the statuses that each export was seen in, in order. `of`: whose it is."""

    rooms: Rooms

    @initialize(asked=st.lists(st.tuples(st.integers(0, len(LEADS) - 1), st.sampled_from(BODIES)), min_size=2, max_size=3))
    def asked_for(self, asked: list[tuple[int, dict[str, Any]]]) -> None:
        self.world = self.rooms.world
        self.world.published.clear()
        self._do(self.world.admin.execute(EMPTIED))
        self.seen: dict[str, list[str]] = defaultdict(list)
        self.of: dict[str, Caller] = {}
        self.deleted: set[str] = set()
        self.leaving: set[str] = set()  # deletions under way
        self.rejected: set[str] = set()
        self.lies: set[str] = set()  # exports of which something untrue was said: they may fail
        for caller, body in asked:
            self.ask(caller, body)

    def _do(self, *work: Any) -> list[Any]:
        """All of it at once, then a look at the tables; an error that any of it raises is one of the test."""

        async def at_once() -> list[Any]:
            done = list(await asyncio.gather(*work))
            await self.world.outbox()
            self.rows = await self.world.admin.fetch(ROWS)
            self.in_flight = await self.world.admin.fetchval(IN_FLIGHT)
            return done

        found: list[Any] = self.rooms.run(at_once())
        return found

    def _go_on(self, exports: list[str]) -> None:
        """Every room does its part of these, as often as something comes of it."""
        for _ in range(60):
            running = [row["id"] for row in self.rows if row["id"] in exports and row["status"] in ORDER[:6]]
            if not running:
                return
            self._do(self.world.planned())
            for export_id in [row["id"] for row in self.rows if row["id"] in running and row["status"] == "awaiting_approval"]:
                self._do(self._decide(export_id, "approve"))
            for chunk in self.world.chunks(self.world.published):
                if chunk.export_id in running:
                    self._do(self.world.formatted(chunk, message_id=f"{chunk.export_id}/{chunk.number}/honest"))
            for export_id in running:
                if self._whole(export_id):
                    self._do(self.world.publish(export_id))

    # ---- what can happen

    def _chosen(self, number: int) -> str | None:
        known = list(self.of)
        return known[number % len(known)] if known else None

    def _chunk(self, number: int) -> FormatChunk | None:
        sent = self.world.chunks(self.world.published)
        return sent[number % len(sent)] if sent else None

    def _whole(self, export_id: str) -> bool:
        """Whether delivery was sent every file of the export, closed."""
        closing = [command for command in self.world.commands(export_id) if command.last]
        return bool(closing) and len({(c.format, c.file_number) for c in closing}) == closing[0].files_total

    async def _formatted(self, chunk: FormatChunk, number: int) -> None:
        await self.world.formatted(chunk, message_id=f"{chunk.export_id}/{chunk.number}/{number % 3}")

    async def _delete(self, export_id: str) -> None:
        self.leaving.add(export_id)
        answer = await self.of[export_id].call("DELETE", f"/v1/exports/{export_id}")
        self.leaving.discard(export_id)
        assert answer.status_code in ((404,) if export_id in self.deleted else (202, 204, 404))
        if answer.status_code == 204:
            self.deleted.add(export_id)

    async def _decide(self, export_id: str, decision: str) -> None:
        """By somebody else; who asked is told that it can't be them."""
        gone, leaves = export_id in self.deleted, export_id in self.leaving
        mine = await self.of[export_id].call("POST", f"/v1/exports/{export_id}/{decision}")
        leaves |= export_id in self.leaving | self.deleted  # by what is done at the same time
        assert mine.status_code in ((404,) if gone else (403, 404) if leaves else (403,)), mine.text
        answer = await self.rooms.approvers[self.of[export_id].org_id].call("POST", f"/v1/exports/{export_id}/{decision}")
        assert answer.status_code in (200, 404, 409), answer.text
        if answer.status_code == 200 and decision == "reject":
            self.rejected.add(export_id)

    async def _sweep(self) -> None:
        await self.world.parts.sweeper.sweep()

    def _doing(self, kind: str, number: int) -> Doing | None:
        """Something honest that can be done at this moment."""
        chunk, export_id = self._chunk(number), self._chosen(number)
        if kind == "format" and chunk is not None:
            return lambda: self._formatted(chunk, number)
        if kind == "release":
            return lambda: self._release()
        if kind == "sweep":
            return self._sweep
        if export_id is None:
            return None
        if kind == "publish" and self._whole(export_id):
            return lambda: self.world.publish(export_id)
        if kind == "assembled" and self._whole(export_id):
            return lambda: self.world.assembled(self.of[export_id].org_id, export_id, str(number % 3))
        if kind == "delete":
            return lambda: self._delete(export_id)
        if kind in ("approve", "reject"):
            return lambda: self._decide(export_id, kind)
        return None

    async def _release(self) -> None:
        await self.world.parts.releaser.release()

    @rule(caller=st.integers(0, len(LEADS) - 1), body=st.sampled_from(BODIES))
    def another_is_asked_for(self, caller: int, body: dict[str, Any]) -> None:
        self.ask(caller, body)

    def ask(self, caller: int, body: dict[str, Any]) -> None:
        if len(self.of) < EXPORTS_MAX:
            owner = self.rooms.callers[caller]
            (export,) = self._do(owner.ask(body))
            self.of[export["id"]] = owner
            self._do(self._planned())

    async def _planned(self) -> None:
        while tasks := [t for t in asyncio.all_tasks() if t.get_name().startswith("plan ")]:
            await asyncio.wait(tasks)

    @rule(number=which)
    def run_again(self, number: int) -> None:
        export_id = self._chosen(number)
        if export_id is None or len(self.of) >= EXPORTS_MAX:
            return
        (answer,) = self._do(self.of[export_id].call("POST", f"/v1/exports/{export_id}/rerun"))
        running = self.seen[export_id][-1] in ORDER[:6]
        assert answer.status_code == (404 if export_id in self.deleted else 409 if running else 202), answer.text
        if answer.status_code == 202:
            self.of[answer.json()["id"]] = self.of[export_id]
            self._do(self._planned())

    @rule(
        kind=st.sampled_from(["format", "format", "format", "release", "publish", "assembled", "delete", "sweep", "approve", "reject"]),
        number=which,
    )
    def one_thing(self, kind: str, number: int) -> None:
        if doing := self._doing(kind, number):
            self._do(doing())

    @rule(
        first=st.sampled_from(["format", "release", "publish", "delete", "approve", "reject"]),
        second=st.sampled_from(["format", "publish", "assembled", "delete", "sweep", "approve", "reject"]),
        number=which,
        other=which,
    )
    def two_things_at_once(self, first: str, second: str, number: int, other: int) -> None:
        both = [self._doing(first, number), self._doing(second, other)]
        self._do(*(doing() for doing in both if doing))

    @rule(number=which)
    def everything_that_is_released_comes_back(self, number: int) -> None:
        for chunk in self.world.chunks(self.world.published):
            self._do(self._formatted(chunk, number))

    @rule(number=which)
    def it_goes_through(self, number: int) -> None:
        if export_id := self._chosen(number):
            self._go_on([export_id])

    @rule(lie=st.sampled_from(["chunk failed", "chunk with other rows", "published"]), number=which, rows=st.integers(0, 40))
    def something_goes_wrong(self, lie: str, number: int, rows: int) -> None:
        """A chunk fails, or comes back with other rows; files are published too early, or with other rows. The export may fail of it."""
        chunk, export_id = self._chunk(number), self._chosen(number)
        if lie == "published" and export_id is not None and self.world.commands(export_id):
            self.lies.add(export_id)
            self._do(self.world.publish(export_id, rows))
        elif chunk is not None and lie != "published":
            self.lies.add(chunk.export_id)
            event = ChunkFailed(chunk.export_id, chunk.org_id, chunk.number, "store_full", "The store is full.")
            if lie == "chunk failed":
                self._do(
                    self.world.parts.handlers.export_parts(incoming("export-parts", event, f"{chunk.export_id}/{chunk.number}/failed"))
                )
            else:
                self._do(self.world.formatted(chunk, rows, f"{chunk.export_id}/{chunk.number}/wrong"))

    @rule(number=which)
    def a_stranger_deletes_it(self, number: int) -> None:
        if export_id := self._chosen(number):
            stranger = next(caller for caller in self.rooms.callers if caller is not self.of[export_id])
            for method, path in (("DELETE", ""), ("GET", ""), ("POST", "/rerun"), ("POST", "/approve"), ("POST", "/reject")):
                (answer,) = self._do(stranger.call(method, f"/v1/exports/{export_id}{path}"))
                assert answer.status_code == 404

    @rule(seconds=st.sampled_from([1, 61, 3000]))
    def time_passes(self, seconds: int) -> None:
        self.world.clock.forward(seconds)

    # ---- what holds whatever happened

    @invariant()
    def states_go_one_way(self) -> None:
        for row in self.rows:
            seen = self.seen[row["id"]]
            if not seen or seen[-1] != row["status"]:
                seen.append(row["status"])
            ranks = [ORDER.index(status) for status in seen]
            assert ranks == sorted(ranks), seen
            ended = [status for status in seen if status in ENDS]
            assert len(ended) <= 1, seen
            assert seen[-1] != "expired" or "completed" in seen, seen
            assert seen[-1] != "failed" or row["id"] in self.lies | self.rejected or row["error_code"] == "stalled", (
                seen,
                row["error_code"],
            )

    @invariant()
    def complete_means_every_row(self) -> None:
        for row in self.rows:
            if row["status"] in ("completed", "expired"):
                assert row["rows_planned"] == row["rows_written"]
                assert row["planned"] and row["chunks_done"] == row["chunks_planned"]
                assert row["published"] in (row["rows_planned"] * len(row["formats"]), None)

    @invariant()
    def every_end_is_told_once(self) -> None:
        for row in self.rows:
            told = [event.event for event in self.world.events(row["id"])]
            ends = [kind for kind in told if kind in ENDS]
            status = "completed" if row["status"] == "expired" else row["status"]
            assert ends == ([status] if status in ENDS else []), (row["status"], told)
            assert told.count("expired") == (row["status"] == "expired")
            assert told.count("accepted") == 1 and told.count("started") <= 1
            assert len({event.headers["ce_id"] for event in self.world.events(row["id"])}) == len(told)

    @invariant()
    def nothing_is_formatted_before_somebody_approves(self) -> None:
        sent = {chunk.export_id for chunk in self.world.chunks(self.world.published)}
        for row in self.rows:
            if row["id"] in sent and row["approval_above"] is not None and row["rows_planned"] > row["approval_above"]:
                assert row["decided_by"] is not None and row["error_code"] != "rejected"
            if row["status"] == "awaiting_approval":
                assert [e.event for e in self.world.events(row["id"])] == ["accepted", "awaiting_approval"]

    @invariant()
    def chunks_in_flight_are_capped(self) -> None:
        assert self.in_flight <= IN_FLIGHT_MAX

    @invariant()
    def delivery_gets_each_part_once_and_in_order(self) -> None:
        for export_id in self.of:
            numbers: dict[tuple[str, int], list[int]] = defaultdict(list)
            for command in self.world.commands(export_id):
                assert isinstance(command, AssembleFile)
                numbers[command.format, command.file_number] += [part.number for part in command.parts]
            for parts in numbers.values():
                assert parts == list(range(1, len(parts) + 1))

    @invariant()
    def what_ended_without_files_is_discarded(self) -> None:
        for row in self.rows:
            discards = self.world.discards(row["id"])
            if row["status"] in ("failed", "cancelled", "expired") or row["deleted_at"]:
                assert True in discards, row["status"]
            elif row["status"] != "completed":
                assert discards == []

    def teardown(self) -> None:
        """From here on every room is honest: whatever it has come to, every export ends."""
        self._go_on(list(getattr(self, "of", [])))
        assert not [row["id"] for row in self.rows if row["status"] in ORDER[:6]], "never stuck"
        self.states_go_one_way()
        self.every_end_is_told_once()
        self.complete_means_every_row()


def test_exports_live_as_they_should_whatever_happens(database: Database) -> None:
    rooms = Rooms(database)

    class Here(Exports):
        pass

    Here.rooms = rooms
    few = settings(
        max_examples=20,
        stateful_step_count=25,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=(Phase.reuse, Phase.generate),
    )  # fmt: skip  (no shrinking: on a real database it takes minutes, and 25 steps can be read)
    try:
        run_state_machine_as_test(Here, settings=few)
    finally:
        rooms.close()
