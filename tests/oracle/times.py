"""Instants (milliseconds since 1970, UTC) and what the clocks of a timezone show then."""

import re
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

Range = tuple[int | None, int | None]  # [from, to) in milliseconds; None is open

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
RFC3339 = re.compile(r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:\.(\d+))?(?:[Zz]|([+-])(\d\d):(\d\d))")
DATE = re.compile(r"\d{4}-\d\d-\d\d")
OFFSET = re.compile(r"([Zz]|[+-]\d\d:\d\d)$")


def instant(text: str) -> int:
    """A time with an offset, to the millisecond: finer digits are cut off (records.yaml, timestamps)."""
    found = RFC3339.fullmatch(text)
    if found is None:
        raise ValueError(f"no RFC 3339 time with an offset: {text!r}")
    *fields, fraction, sign, hours, minutes = found.groups()
    ahead = 0 if sign is None else (int(hours) * 60 + int(minutes)) * (-1 if sign == "-" else 1)
    whole = datetime(*map(int, fields), tzinfo=UTC) - timedelta(minutes=ahead)  # type: ignore[arg-type, misc]
    return milliseconds(whole) + int(((fraction or "") + "000")[:3])


def milliseconds(moment: datetime) -> int:
    return (moment - EPOCH) // timedelta(milliseconds=1)


@lru_cache
def zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)


def local(at: int, timezone: str) -> datetime:
    """What the clocks of `timezone` show at `at`."""
    return (EPOCH + timedelta(milliseconds=at)).astimezone(zone(timezone))


def first_at(clock: datetime, timezone: str) -> int:
    """The first instant when the clocks of `timezone` show `clock` (without a zone) or, where they skip it, the first after the gap."""
    early, late = (milliseconds(clock.replace(tzinfo=zone(timezone), fold=fold).astimezone(UTC)) for fold in (0, 1))
    if local(early, timezone).replace(tzinfo=None) == clock:
        return early
    before, after = late, early  # in a gap fold 1 lies before the change of the clocks, fold 0 behind it
    offset = local(after, timezone).utcoffset()
    while after - before > 1:
        middle = (before + after) // 2
        before, after = (before, middle) if local(middle, timezone).utcoffset() == offset else (middle, after)
    return after


def midnight(day: date, timezone: str) -> int:
    return first_at(datetime(day.year, day.month, day.day), timezone)


def bound(text: str, timezone: str) -> int:
    """An end of a range, or a filter's time: a date (its local midnight), a time with an offset, or a local time without."""
    if DATE.fullmatch(text):
        return midnight(date.fromisoformat(text), timezone)
    return instant(text) if OFFSET.search(text) else first_at(datetime.fromisoformat(text), timezone)


def inside(at: int | None, span: Range) -> bool:
    """In range: from ≤ at < to."""
    start, end = span
    return at is not None and (start is None or start <= at) and (end is None or at < end)


def overlap(start: int, end: int | None, span: Range) -> int:
    """Milliseconds of [start, end) inside the range; without an end, up to the end of the range."""
    low, high = span
    assert low is not None
    assert high is not None
    return max(0, (high if end is None else min(end, high)) - max(start, low))
