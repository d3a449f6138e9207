"""The life of a delivery as a state machine: attempts, people and endpoints act in any order, time only goes on."""

from datetime import UTC, datetime, timedelta

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from services.delivery.core.webhooks.life import AskedAgain, Attempted, Delivery, EndpointDisabled, Happening, Retries, Status, step
from services.delivery.core.webhooks.retry import JITTER, RETRY_AFTER_SECONDS_MAX, SCHEDULE_SECONDS

ATTEMPTS_MAX = len(SCHEDULE_SECONDS)
chances = st.floats(0, 1, exclude_max=True)


class DeliveryMachine(RuleBasedStateMachine):
    """A model counts beside: what was sent in this round, and whether the endpoint has ever said yes."""

    @initialize(once=st.booleans())
    def recorded(self, once: bool) -> None:
        self.now = datetime(2026, 3, 1, tzinfo=UTC)
        self.retries = Retries(once=once)
        self.delivery = Delivery(due_at=self.now)
        self.sent_in_round = self.sent = 0
        self.succeeded_in_round = False

    def _take(self, happening: Happening, chance: float = 0.5) -> tuple[Delivery, Delivery]:
        before = self.delivery
        self.delivery = step(before, happening, self.now, chance, self.retries)
        return before, self.delivery

    @rule(code=st.one_of(st.none(), st.integers(100, 599)), retry_after=st.one_of(st.none(), st.floats(0, 1e7)), chance=chances)
    def attempt_when_due(self, code: int | None, retry_after: float | None, chance: float) -> None:
        if self.delivery.due_at is None:
            return
        self.now = max(self.now, self.delivery.due_at)
        attempt = Attempted(code, retry_after)
        before, after = self._take(attempt, chance)
        self.sent, self.sent_in_round = self.sent + 1, self.sent_in_round + 1
        assert after.attempts == before.attempts + 1
        if attempt.succeeded:
            assert after.status is Status.delivered
            self.succeeded_in_round = True
        elif self.sent_in_round == (1 if self.retries.once else ATTEMPTS_MAX):
            assert after.status is Status.failed
        else:
            assert after.status is Status.pending and after.due_at is not None
            waited = (after.due_at - self.now).total_seconds()
            scheduled, asked = SCHEDULE_SECONDS[self.sent_in_round], min(retry_after or 0, RETRY_AFTER_SECONDS_MAX)
            assert max(scheduled * (1 - JITTER), asked) - 0.001 <= waited <= max(scheduled * (1 + JITTER), asked) + 0.001

    @rule(code=st.one_of(st.none(), st.integers(200, 599)))
    def late_answer(self, code: int | None) -> None:
        """Of an attempt whose lease had run out, or that was under way while the endpoint was disabled."""
        if self.delivery.status is Status.pending:
            return
        before, after = self._take(Attempted(code))
        self.sent += 1
        self.sent_in_round += 1
        assert after.due_at is None
        assert after.status is (Status.delivered if code is not None and code < 300 else before.status)
        self.succeeded_in_round |= after.status is Status.delivered

    @rule()
    def asked_again(self) -> None:
        _, after = self._take(AskedAgain())
        assert (after.status, after.due_at, after.tries) == (Status.pending, self.now, 0)
        self.sent_in_round, self.succeeded_in_round = 0, False

    @rule()
    def disabled(self) -> None:
        before, after = self._take(EndpointDisabled())
        assert after.status is (Status.skipped if before.status is Status.pending else before.status)

    @rule(seconds=st.integers(0, 10**6))
    def time_passes(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)

    @invariant()
    def what_is_to_be_sent_has_a_time_and_nothing_else_has(self) -> None:
        assert (self.delivery.due_at is not None) == (self.delivery.status is Status.pending)

    @invariant()
    def nothing_is_lost_or_made_up(self) -> None:
        assert self.delivery.attempts == self.sent
        assert self.delivery.tries == self.sent_in_round
        if self.succeeded_in_round:
            assert self.delivery.status is Status.delivered


TestDelivery = DeliveryMachine.TestCase
