"""The life of a delivery and the health of a destination, without anything around them."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from services.delivery.core.destinations.life import (
    FAILURES_MAX,
    RETRY_SECONDS,
    Arrived,
    AskedAgain,
    Delivery,
    DestinationPaused,
    DestinationResumed,
    Happening,
    Health,
    Pointless,
    Reason,
    Refused,
    Status,
    Waited,
    health_after,
    held_until,
    step,
)
from services.delivery.core.destinations.names import names_of
from services.delivery.core.destinations.wanted import wanted_of

NOW = datetime(2026, 4, 1, 6, tzinfo=UTC)
chances = st.floats(0, 1, exclude_max=True)
HAPPENINGS: list[Happening] = [
    Arrived(), Refused(True), Refused(False), Refused(True, 90.0), Waited(), AskedAgain(), DestinationPaused(), DestinationResumed(), Pointless()
]  # fmt: skip


@given(st.lists(chances, min_size=4, max_size=4))
def test_three_retries_come_within_the_hour_and_the_fourth_failure_is_the_last(drawn: list[float]) -> None:
    delivery, at = Delivery(due_at=NOW), NOW
    for chance in drawn[:3]:
        delivery = step(delivery, Refused(True), at, chance)
        assert delivery.status is Status.pending and delivery.due_at is not None and delivery.due_at > at
        at = delivery.due_at
    delivery = step(delivery, Refused(True), at, drawn[3])
    assert (delivery.status, delivery.attempts, delivery.due_at) == (Status.failed, 4, None) and at - NOW <= timedelta(hours=1)


@given(st.lists(st.tuples(st.sampled_from(HAPPENINGS), chances, st.booleans()), max_size=20))
def test_it_is_due_exactly_while_it_is_pending(happened: list[tuple[Happening, float, bool]]) -> None:
    delivery = Delivery(due_at=NOW)
    for happening, chance, paused in happened:
        before, delivery = delivery, step(delivery, happening, NOW, chance, 1.0, paused)
        assert (delivery.status is Status.pending) == (delivery.due_at is not None)
        assert delivery.attempts - before.attempts == isinstance(happening, Arrived | Refused) and delivery.tries <= delivery.attempts


def test_who_asks_to_be_left_alone_is_for_an_hour_at_most() -> None:
    asked = step(Delivery(due_at=NOW), Refused(True, 1500.0), NOW, 0.5)
    assert asked.due_at == NOW + timedelta(seconds=1500) and held_until(Refused(True, 1500.0), NOW) == asked.due_at
    assert held_until(Refused(True, 1e9), NOW) == NOW + timedelta(hours=1)
    assert step(Delivery(due_at=NOW), Refused(True, 1.0), NOW, 0.5).due_at == NOW + timedelta(seconds=RETRY_SECONDS[0])
    assert held_until(Refused(True), NOW) is None and held_until(Arrived(), NOW) is None


def test_so_many_given_up_in_a_row_pause_a_destination() -> None:
    health = Health()
    for number in range(1, FAILURES_MAX + 1):
        health = health_after(health, Status.failed, NOW + timedelta(hours=number))
        assert (health.failures, health.paused) == (number, Reason.failing if number == FAILURES_MAX else None)
    assert health.failing_since == NOW + timedelta(hours=1)
    assert (
        health_after(Health(2, NOW), Status.cancelled, NOW) == Health(2, NOW)
        and health_after(Health(2, NOW), Status.delivered, NOW) == Health()
    )
    assert health_after(Health(2, NOW, Reason.requested), Status.failed, NOW).paused is Reason.requested


def test_placeholders_are_of_the_window_in_the_exports_time_zone() -> None:
    window = (datetime(2026, 2, 28, 23, tzinfo=UTC), datetime(2026, 3, 31, 22, tzinfo=UTC))
    names = names_of("org_a", "exp_1", "sch_1", "messages", "Europe/Brussels", NOW, window)
    assert (names["year"], names["month"], names["day"], names["hour"]) == ("2026", "03", "01", "00")
    assert (names["from"], names["to"], names["path"]) == ("2026-03-01T00-00-00", "2026-04-01T00-00-00", "message")
    instant = names_of("org_a", "exp_1", None, "teams", "UTC", NOW, (None, None))
    assert (instant["year"], instant["hour"], instant["from"], instant["schedule_id"]) == ("2026", "06", "none", "none")


def test_each_destination_is_wanted_once_and_addresses_of_their_own_in_one() -> None:
    asked = '[{"type": "s3", "id": "dst_1"}, {"type": "email", "to": ["a@x.example"]}, {"type": "s3", "id": "dst_1"}, {"type": "email", "to": ["b@x.example", "a@x.example"]}]'
    first, own = wanted_of("org_a", asked)
    assert (first.key, first.type, first.recipients) == ("dst_1", "s3", None)
    assert (own.key, own.destination_id, own.recipients) == ("email:org_a", None, ("a@x.example", "b@x.example"))
    assert list(wanted_of("org_a", "[]")) == []
