"""Operating hours against the oracle, which adds them up day by day."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.datasets.operating_hours import DAYS, hours_of, open_ms
from tests.oracle.hours import Hours as OracleHours

ZONES = (
    "UTC",
    "America/New_York",
    "Europe/Brussels",
    "Australia/Lord_Howe",
    "Asia/Beirut",
    "Pacific/Apia",
    "Africa/Cairo",
    "Africa/Casablanca",
)
clocks = st.integers(0, 96).map(lambda quarter: f"{quarter // 4:02}:{quarter % 4 * 15:02}")


def ms(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


@st.composite
def weeks(draw: st.DrawFn) -> dict[str, Any]:
    week: dict[str, Any] = {"timezone": draw(st.sampled_from(ZONES))}
    for day in DAYS:
        ends = sorted(draw(st.lists(clocks, max_size=6, unique=True)))
        week[day] = [list(pair) for pair in zip(ends[::2], ends[1::2], strict=False)]
    return week


@settings(deadline=None)  # a zone's periods are looked for once
@given(weeks(), st.integers(ms("2010-12-20"), ms("2027-01-01")), st.integers(0, 400 * 86_400_000))
def test_what_lies_between_two_instants(week: dict[str, Any], start: int, length: int) -> None:
    hours, oracle = hours_of(week), OracleHours(week)
    assert open_ms(hours, start + length) - open_ms(hours, start) == oracle.between(start, start + length)
    assert open_ms(hours, start + 1) - open_ms(hours, start) == oracle.cover(start)


CHANGES = (
    "2026-03-29T00:00",
    "2026-10-25T00:00",
    "2026-03-08T05:00",
    "2026-11-01T04:00",
    "2026-04-04T14:00",
    "2026-10-03T14:00",
    "2011-12-30T08:00",
)


@settings(deadline=None)  # a zone's periods are looked for once
@given(weeks(), st.sampled_from(CHANGES), st.integers(-30, 30), st.integers(0, 60))
def test_around_changes_of_the_clocks(week: dict[str, Any], change: str, before: int, length: int) -> None:
    start, end = (ms(change) + quarters * 900_000 for quarters in (before, before + length))
    assert open_ms(hours_of(week), end) - open_ms(hours_of(week), start) == OracleHours(week).between(start, end)


@pytest.mark.parametrize("span", [["00:00", "02:00"], ["02:00", "03:00"], ["01:00", "01:30"]])
def test_a_span_that_ends_or_begins_where_an_hour_is_shown_again(span: list[str]) -> None:
    week = {"timezone": "America/New_York", "sun": [span]}
    hours, oracle = hours_of(week), OracleHours(week)
    for start in range(ms("2026-11-01T04:00"), ms("2026-11-01T09:00"), 900_000):
        assert open_ms(hours, start + 900_000) - open_ms(hours, start) == oracle.between(start, start + 900_000)


@pytest.mark.parametrize(("start", "end"), [("0101-01-01", "0101-03-01"), ("2499-01-01", "2501-02-01"), ("9000-03-01", "9000-05-01")])
@pytest.mark.parametrize("timezone", ["America/New_York", "UTC", "Europe/Brussels"])
def test_long_ago_and_far_ahead(timezone: str, start: str, end: str) -> None:
    week = {"timezone": timezone, "mon": [["00:00", "24:00"]], "sun": [["01:30", "03:15"], ["04:00", "04:15"]]}
    hours, oracle = hours_of(week), OracleHours(week)
    assert open_ms(hours, ms(end)) - open_ms(hours, ms(start)) == oracle.between(ms(start), ms(end))
