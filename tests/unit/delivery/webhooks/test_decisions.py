"""The schedule, an endpoint's health, and who may be called how often at once."""

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.delivery.core.webhooks.health import FAILING_SECONDS_MAX, FAILURES_MIN, Health, Reason, after
from services.delivery.core.webhooks.life import Attempted
from services.delivery.core.webhooks.retry import SCHEDULE_SECONDS, retry_delay_seconds
from services.delivery.core.webhooks.traffic import WIDTH_FIRST, Limits, Traffic
from shared.retry_after import retry_after_seconds

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def test_the_schedule_is_standard_webhooks() -> None:
    waits = [retry_delay_seconds(tries, None, 0.5) for tries in range(1, 11)]
    assert waits == pytest.approx([5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400, None])
    assert SCHEDULE_SECONDS[0] == 0


@pytest.mark.parametrize(
    ("retry_after", "expected"), [(None, 300), (10, 300), (301, 301), (90_000, 86_400), (float("inf"), 86_400), (-5, 300)]
)
def test_an_endpoint_can_ask_for_a_longer_wait_up_to_a_day(retry_after: float | None, expected: float) -> None:
    assert retry_delay_seconds(2, retry_after, 0.5) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("120", 120), (" 7 ", 7), ("Sun, 01 Mar 2026 00:01:00 GMT", 60), ("Sat, 28 Feb 2026 00:00:00 GMT", 0), ("soon", None), ("", None),
        ("-1", None), ("1e9", None), (None, None), ("9" * 500, 999_999_999_999_999), ("Sun, 99 Mar 2026 00:01:00 GMT", None),
    ],
)  # fmt: skip
def test_retry_after_is_seconds_or_a_date_or_nothing(header: str | None, expected: float | None) -> None:
    assert retry_after_seconds(header, NOW) == expected


def failing(days: float, count: int, health: Health | None = None) -> Health:
    step = timedelta(days=days) / max(1, count - 1)
    return after(health or Health(), [(NOW + step * n, Attempted(500)) for n in range(count)])


def test_an_endpoint_is_disabled_after_five_days_without_a_success_and_not_before() -> None:
    assert failing(4.99, 100).disabled is None
    assert failing(5, FAILURES_MIN).disabled is Reason.failing
    assert failing(30, FAILURES_MIN - 1).disabled is None
    assert sum(SCHEDULE_SECONDS) * 1.1 < FAILING_SECONDS_MAX, "one event that nobody takes is not enough"


def test_a_success_clears_the_record() -> None:
    health = after(failing(4, 50), [(NOW + timedelta(days=4), Attempted(204))])
    assert health == Health()
    assert after(health, [(NOW + timedelta(days=9), Attempted(None))]).disabled is None


def test_gone_disables_at_once_and_success_elsewhere_does_not_take_it_back() -> None:
    assert after(Health(), [(NOW, Attempted(410))]).disabled is Reason.gone
    assert after(Health(), [(NOW, Attempted(410)), (NOW, Attempted(200))]).disabled is Reason.gone


def test_what_an_endpoint_asks_for_holds_for_all_its_deliveries() -> None:
    health = after(Health(), [(NOW, Attempted(429, 60)), (NOW, Attempted(503, 5)), (NOW, Attempted(500))])
    assert health.held_until == NOW + timedelta(seconds=60)
    assert after(health, [(NOW, Attempted(200))]).held_until is None


# ---- traffic


def test_an_endpoint_is_given_more_as_it_succeeds_and_less_as_it_fails() -> None:
    traffic = Traffic(Limits(total=100, organisation=100, endpoint=16))
    widths = []
    for number, succeeded in enumerate([True, True, True, False, False, False, False, False]):
        assert traffic.begin(f"d{number}", "e", "o", 0.0)
        traffic.end(f"d{number}", succeeded, 0.01)
        widths.append(traffic.room(0.0).endpoints["e"])
    assert widths == [8, 16, 16, 8, 4, 2, 1, 1]


def test_a_delivery_is_never_sent_beside_itself() -> None:
    traffic = Traffic(Limits())
    assert traffic.begin("d", "e", "o", 0.0)
    assert not traffic.begin("d", "e", "o", 60.0)
    traffic.end("d", None, 0)
    assert traffic.begin("d", "e", "o", 61.0)


def take_all(traffic: Traffic, endpoints: list[str], now: float) -> int:
    """Begin with as many as there is room for, endpoint by endpoint; how many."""
    begun = 0
    for endpoint in endpoints:
        room = traffic.room(now)
        for number in range(min(room.total, room.endpoints.get(endpoint, room.endpoint))):
            begun += traffic.begin(f"{endpoint}/{now}/{number}", endpoint, endpoint, now)
    return begun


def test_endpoints_that_hang_leave_half_of_the_places_to_the_others() -> None:
    traffic = Traffic(Limits(total=40, organisation=1000, endpoint=8))
    hanging = [f"slow{n}" for n in range(3)]
    assert take_all(traffic, hanging, 0.0) == 3 * WIDTH_FIRST
    # each time some of them answer, late but well, so that they would be given more and more
    for now in (2.0, 4.0, 6.0, 8.0):
        for delivery in [d for d in traffic._under_way if d.endswith("/0")]:
            traffic.end(delivery, True, 1.5)
        take_all(traffic, hanging, now)
    assert traffic.under_way == 20
    assert take_all(traffic, hanging, 9.0) == 0
    assert take_all(traffic, [f"quick{n}" for n in range(10)], 9.0) == 20, "the other half is there for those that don't hang"


events = st.lists(st.tuples(st.sampled_from(["begin", "yes", "no", "never"]), st.integers(0, 9), st.floats(0, 3)), max_size=120)


@given(events, st.integers(2, 30), st.integers(1, 12), st.integers(1, 12))
def test_no_limit_is_ever_passed(events: list[tuple[str, int, float]], total: int, organisation: int, endpoint: int) -> None:
    traffic = Traffic(Limits(total, organisation, endpoint))
    under_way: dict[str, int] = {}
    now = 0.0
    for number, (what, endpoint_number, seconds) in enumerate(events):
        now += seconds
        name, org = f"e{endpoint_number}", f"o{endpoint_number % 3}"
        room = traffic.room(now)
        free = min(room.total, room.endpoints.get(name, room.endpoint), room.organisations.get(org, room.organisation))
        if what == "begin":
            if free > 0:
                assert traffic.begin(f"d{number}", name, org, now)
                under_way[f"d{number}"] = endpoint_number
        elif under_way:
            delivery = next(iter(under_way))
            del under_way[delivery]
            traffic.end(delivery, {"yes": True, "no": False, "never": None}[what], seconds)
        assert traffic.under_way == len(under_way) <= total
        assert max(Counter(under_way.values()).values(), default=0) <= endpoint
        assert max(Counter(each % 3 for each in under_way.values()).values(), default=0) <= organisation
