"""Dates and times of requests as instants."""

import re
from collections.abc import Callable
from datetime import MINYEAR, UTC, date, datetime, timedelta
from functools import lru_cache
from typing import TypeVar
from zoneinfo import ZoneInfo

T = TypeVar("T")

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_TIME = re.compile(r"\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}(:\d{2}([.,]\d+)?)?([Zz]|[+-]\d{2}:?\d{2})?")


@lru_cache(maxsize=1024)
def zone(name: str) -> ZoneInfo:
    """The IANA timezone `name`; raises ValueError where there is none."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise ValueError(f"'{name[:80]}' is not a known timezone") from error


def resolve_instant(text: str, timezone: str) -> datetime:
    """`text` as an instant in UTC: a date is its local midnight, a time without offset is local, one with an offset is itself.

    A local time that is skipped is the first instant after; one that comes twice is the first; one beyond the years 1 to 9999 is their edge. Raises ValueError with a message for people.
    """
    if _DATE.fullmatch(text):
        local = datetime.combine(_parsed(date.fromisoformat, text), datetime.min.time())
    elif _TIME.fullmatch(text):
        local = _parsed(datetime.fromisoformat, text.replace(",", ".").upper())
    else:
        raise ValueError("must be a date (2026-03-01) or a time (2026-03-01T09:00:00, with an offset or local)")
    try:
        if local.tzinfo is not None:
            return local.astimezone(UTC)
        return instant_of(local, zone(timezone))
    except OverflowError:  # at an edge of the calendar the instant lies outside of it: nothing does beyond
        return (datetime.min if local.year == MINYEAR else datetime.max).replace(tzinfo=UTC)


def local_time(at: datetime, tz: ZoneInfo) -> datetime:
    """What the clocks show at an instant, without an offset; where that lies beyond the years 1 to 9999, their edge."""
    try:
        return at.astimezone(tz).replace(tzinfo=None)
    except OverflowError:
        return datetime.min if at.year == MINYEAR else datetime.max


def _parsed(parse: Callable[[str], T], text: str) -> T:
    try:
        return parse(text)
    except ValueError as error:
        raise ValueError(f"is not a valid date or time: {error}") from error


def instant_of(local: datetime, tz: ZoneInfo) -> datetime:
    """A local time without an offset as an instant (UTC): one that is skipped is the first instant after, one that comes twice the first."""
    instant = local.replace(tzinfo=tz, fold=0).astimezone(UTC)
    if instant.astimezone(tz).replace(tzinfo=None) == local:
        return instant
    # Skipped: fold=0 reads the clock from before the change, so the change lies between the two readings.
    low, high = local.replace(tzinfo=tz, fold=1).astimezone(UTC), instant
    before = low.astimezone(tz).utcoffset()
    while high - low > timedelta(seconds=1):
        middle = (low + (high - low) / 2).replace(microsecond=0)
        if middle <= low:
            break
        low, high = (middle, high) if middle.astimezone(tz).utcoffset() == before else (low, middle)
    return high.replace(microsecond=0)
