"""Which queues the metrics name."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from services.export_request.core.watching import queues

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@given(st.dictionaries(st.text(min_size=1, max_size=8), st.integers(-5, 10_000), max_size=60), st.integers(1, 10))
def test_the_longest_queues_are_named_and_no_more(ages: dict[str, int], most: int) -> None:
    found = queues({org: NOW - timedelta(seconds=age) for org, age in ages.items()}, NOW, most)
    assert found.organisations == len(ages)
    assert len(found.longest) == min(most, len(ages))
    assert found.longest_seconds == max([0, *ages.values()])
    left_out = [max(0, age) for org, age in ages.items() if org not in found.longest]
    assert all(age <= min(found.longest.values()) for age in left_out)
    assert all(seconds == max(0, ages[org]) for org, seconds in found.longest.items())
