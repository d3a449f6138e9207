"""Numbers, times and ranges of a report as English words."""

from datetime import date, datetime, time, timedelta
from decimal import ROUND_HALF_UP, Decimal

from shared.datasets.reports import Unit

Number = int | Decimal
_MINUS = "\N{MINUS SIGN}"
_MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December")


def number(value: Number) -> str:
    """With all of its decimals: 1,234.50."""
    return f"{value:,}".replace("-", _MINUS)


def figure(value: Number, unit: Unit) -> str:
    """As a summary says it: 1,234 · 12.50% · 3 min 12 s."""
    match unit:
        case "percent":
            return f"{number(value)}%"
        case "milliseconds":
            return duration(int(value))
        case _:
            return number(value)


def duration(milliseconds: int) -> str:
    """Milliseconds in the two units that matter."""
    if milliseconds < 1_000:
        return f"{milliseconds} ms"
    if milliseconds < 60_000:
        return f"{_tenths(milliseconds)} s"
    minutes, seconds = divmod(milliseconds // 1_000, 60)
    if minutes < 60:
        return f"{minutes} min {seconds} s" if seconds else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{number(hours)} h {minutes} min" if minutes else f"{number(hours)} h"


def _tenths(milliseconds: int) -> str:
    whole, tenth = divmod(milliseconds // 100, 10)
    return f"{whole}.{tenth}" if tenth else str(whole)


def change(value: Number, before: Number, unit: Unit) -> str:
    """From `before` to `value`: per cent of it, of a percentage in points. Empty where nothing was there to compare with."""
    if value == before:
        return "no change"
    if unit == "percent":
        return f"{_signed(Decimal(value) - before, '0.01')} points"
    return f"{_signed(100 * (Decimal(value) - before) / before, '0.1')}%" if before else ""


def _signed(value: Decimal, places: str) -> str:
    rounded = value.quantize(Decimal(places), ROUND_HALF_UP)
    return f"{'+' if value > 0 else _MINUS}{abs(rounded):,}"


def day(value: date, with_year: bool = True) -> str:
    text = f"{value.day} {_MONTHS[value.month - 1][:3]}"
    return f"{text} {value.year}" if with_year else text


def period(value: date, granularity: str) -> str:
    """A period by its first day: 2 Mar 2026, or March 2026."""
    return f"{_MONTHS[value.month - 1]} {value.year}" if granularity == "month" else day(value)


def span(start: datetime, end: datetime) -> str:
    """[start, end) on a clock: whole days by their first and last, else both times, the second one no part of it."""
    if start.time() == end.time() == time():
        last = end - timedelta(days=1) if end > start else start
        return day(start) if last <= start else f"{day(start)} – {day(last)}"
    return f"{_moment(start)} – {_moment(end)}"


def _moment(value: datetime) -> str:
    seconds = value.second or value.microsecond
    return f"{day(value)} {value:%H:%M:%S}" if seconds else f"{day(value)} {value:%H:%M}"
