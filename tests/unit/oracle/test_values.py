"""Clocks, numbers and hours, where they are easy to get wrong."""

from datetime import datetime
from fractions import Fraction

import pytest

from tests.oracle.hours import Hours
from tests.oracle.times import bound, first_at, instant
from tests.oracle.values import csv_text, decimals, number, seconds


@pytest.mark.parametrize(
    ("timezone", "clock", "expected"),
    [
        ("America/New_York", "2026-03-08T02:30:00", "2026-03-08T07:00:00Z"),  # skipped: the first instant after
        ("Australia/Lord_Howe", "2026-10-04T02:10:00", "2026-10-03T15:30:00Z"),  # half an hour is skipped
        ("America/Havana", "2026-03-08T00:00:00", "2026-03-08T05:00:00Z"),  # a day without midnight
        ("Europe/Brussels", "2026-10-25T02:30:00", "2026-10-25T00:30:00Z"),  # comes twice: the first
    ],
)
def test_local_times(timezone: str, clock: str, expected: str) -> None:
    assert first_at(datetime.fromisoformat(clock), timezone) == instant(expected)


def test_times_are_cut_to_the_millisecond() -> None:
    assert instant("2026-03-24T03:48:30.698999999-04:00") == instant("2026-03-24T07:48:30.698Z")
    assert bound("2026-03-24", "Europe/Brussels") == instant("2026-03-23T23:00:00Z")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"), (-0.0, "0"), (1000.0, "1000"), (1e21, "1e+21"), (1e20, "100000000000000000000"), (1.5e-10, "1.5e-10"), (1e-6, "0.000001"),
        (1e-7, "1e-7"), (5e-324, "5e-324"), (-62.5, "-62.5"), (123456.789, "123456.789"), (2**53, "9007199254740992"),
        (4503599627370495.5, "4503599627370495.5"), (333333333.33333329, "333333333.3333333"),
    ],
)  # fmt: skip
def test_numbers_print_as_rfc_8785_says(value: float, text: str) -> None:
    assert number(value) == text


def test_half_goes_up() -> None:
    assert [seconds(ms) for ms in (499, 500, 1_499, 1_500, None)] == [0, 1, 1, 2, None]
    assert [decimals(Fraction(100, 7), 2).text, decimals(Fraction(1, 8), 2).text, decimals(50, 2).text] == ["14.29", "0.13", "50.00"]


def test_cells_of_csv() -> None:
    assert [csv_text(value, safe=True) for value in (None, "", [], [""], ["=a", "b"], "''＝x", "x=", True, -5)] == [
        "", '""', "", '""', '"\'=a,b"', "\"'''＝x\"", '"x="', "true", "-5",
    ]  # fmt: skip
    assert csv_text('=say "hi"', safe=False) == '"=say ""hi"""'


def test_hours_span_nights_and_changes_of_clocks() -> None:
    hours = Hours({"timezone": "Europe/Brussels", "sat": [["09:00", "24:00"]], "sun": [["00:00", "12:00"]]})
    start, end = instant("2026-03-28T00:00:00Z"), instant("2026-03-30T00:00:00Z")
    assert hours.between(start, end) == (15 + 11) * 3_600_000  # the night of the change is an hour shorter
    assert hours.cover(instant("2026-03-28T22:59:59.999Z"))
    assert not hours.cover(instant("2026-03-29T10:00:00Z"))
    assert Hours(None).between(start, end) == end - start
