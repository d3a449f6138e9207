"""The life of an export as a state machine: every sequence of happenings ends well or not at all."""

import dataclasses

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from services.export_request.core.life import (
    ENDED,
    Approved,
    Assembled,
    Cancelled,
    ChunkDone,
    Discard,
    Expired,
    Failed,
    Happening,
    Lapsed,
    Life,
    PlanGrew,
    Published,
    Rejected,
    Released,
    Status,
    Told,
    step,
)


class LifeMachine(RuleBasedStateMachine):
    """Planner, formatters, delivery, callers and time act in any order; the model counts beside."""

    @initialize(above=st.sampled_from([None, None, 0, 40]))
    def accepted(self, above: int | None) -> None:
        self.above, self.approved = above, False
        self.life = Life(approval_above=above)
        self.told: list[Told] = []
        self.discards: list[Discard] = []
        self.waiting: list[int] = []
        self.in_flight: list[int] = []

    def _take(self, happening: Happening) -> bool:
        before = self.life
        taken = step(before, happening)
        if taken is None:
            return False
        assert before.status not in ENDED or (before.status, taken.life.status) == (Status.completed, Status.expired)
        self.life = taken.life
        self.told += taken.told
        self.discards.append(taken.discard)
        return True

    @rule(rows=st.lists(st.integers(1, 50), max_size=3), complete=st.booleans())
    def plan(self, rows: list[int], complete: bool) -> None:
        if not self.life.planned and self._take(PlanGrew(sum(rows), len(rows), complete)):
            self.waiting += rows

    @rule()
    def release(self) -> None:
        if self.waiting and self._take(Released()):
            self.in_flight.append(self.waiting.pop(0))

    @rule(lost=st.sampled_from([0, 0, 0, 0, 1]))
    def format(self, lost: int) -> None:
        if self.in_flight:
            rows = self.in_flight.pop()
            self._take(ChunkDone(rows, (rows - lost, rows - lost)))
            assert not lost or self.life.status in ENDED

    @rule()
    def assemble(self) -> None:
        """Delivery says so when all parts are in; a message of its that comes late or twice changes nothing."""
        before = self.life
        assert self._take(Assembled()) == (before.status is Status.assembling)
        if self.life is not before:
            assert self.life == dataclasses.replace(before, status=Status.publishing)
            assert before.formatted

    @rule(lost=st.sampled_from([0, 0, 1]))
    def publish(self, lost: int) -> None:
        whole = self.life.formatted
        if self._take(Published((self.life.rows_written - lost,))):
            assert (self.life.status is Status.completed) == (whole and not lost)

    @rule(decision=st.sampled_from([Approved(), Approved(), Rejected("no"), Lapsed(7)]))
    def decide(self, decision: Happening) -> None:
        """Only while it waits; then it goes on, or has failed."""
        waits = self.life.status is Status.awaiting_approval
        assert self._take(decision) == waits
        if waits:
            self.approved = isinstance(decision, Approved)
            assert self.life.status is (Status.planning if self.approved else Status.failed)
            assert self.approved or self.life.error_code in ("rejected", "approval_lapsed")

    @rule()
    def cancel(self) -> None:
        self._take(Cancelled())

    @rule()
    def fail(self) -> None:
        self._take(Failed("broken", "It broke."))

    @rule()
    def expire(self) -> None:
        was = self.life.status
        assert self._take(Expired()) == (was is Status.completed)

    @invariant()
    def complete_means_complete(self) -> None:
        if self.life.status in (Status.completed, Status.expired):
            assert self.life.rows_planned == self.life.rows_written + self.life.rows_excluded
            assert self.life.planned
            assert not self.waiting + self.in_flight

    @invariant()
    def nothing_goes_out_before_it_may(self) -> None:
        above = self.above is not None and self.life.rows_planned > self.above
        assert self.approved or not (above and (self.in_flight or self.life.chunks_done))
        assert self.told.count(Told.awaiting_approval) == (1 if above and self.told.count(Told.awaiting_approval) else 0)
        if self.life.status is Status.awaiting_approval:
            assert above and not self.approved and Told.awaiting_approval in self.told

    @invariant()
    def everyone_is_told_once_and_in_order(self) -> None:
        ends = [t for t in self.told if t in (Told.completed, Told.failed, Told.cancelled)]
        assert len(ends) == (1 if self.life.status in ENDED else 0)
        assert self.told.count(Told.started) <= 1
        if Told.started in self.told:
            assert self.told[0] in (Told.started, Told.awaiting_approval) or self.told[0] in ends

    @invariant()
    def what_an_end_leaves_is_discarded(self) -> None:
        if self.life.status is Status.completed:
            assert self.discards[-1] is Discard.parts
        elif self.life.status in ENDED:
            assert self.discards[-1] is Discard.everything
        assert (self.life.error_code is not None) == (self.life.status is Status.failed)


TestLife = LifeMachine.TestCase


@pytest.mark.parametrize("status", sorted(ENDED - {Status.completed}))
def test_an_end_is_final(status: Status) -> None:
    ended = Life(status, planned=True)
    for happening in (
        PlanGrew(1, 1, True),
        Released(),
        ChunkDone(1, (1,)),
        Assembled(),
        Published((0,)),
        Failed("a", "b"),
        Cancelled(),
        Expired(),
    ):
        assert step(ended, happening) is None


def test_excluded_rows_count_towards_the_plan() -> None:
    life = Life(Status.assembling, True, rows_planned=10, chunks_planned=1, rows_written=10, chunks_done=1, rows_excluded=3)
    done = step(life, Published((7,)))
    assert done is not None
    assert done.life.status is Status.completed
    missing = step(dataclasses.replace(life, rows_excluded=2), Published((7,)))
    assert missing is not None
    assert missing.life.error_code == "rows_mismatch"
