"""Timestamps: RFC 3339 text with an offset, kept to the millisecond in UTC."""

import re
from datetime import UTC, datetime, timedelta

_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(?:\.\d+)?(?:[Zz]|[+-]\d\d:[0-5]\d)", re.ASCII).fullmatch

# The zero time of Go and .NET, which upstreams send for "never". asyncpg takes that datetime for -infinity, which no query can reckon with: a microsecond
# later is what PostgreSQL keeps as a time, and no file shows the difference.
_ZERO = datetime.min.replace(tzinfo=UTC)
_KEPT_ZERO = _ZERO + timedelta(microseconds=1)


def instant(text: str) -> datetime:
    """The instant in UTC, finer digits than milliseconds cut off. A leap second (23:59:60 UTC) is the first second after it. The calendar's first instant is a microsecond later.

    Raises ValueError for text that isn't RFC 3339, a date that doesn't exist, or an instant outside the years 1–9999 in UTC.
    """
    if len(text) == 24 and text[23] == "Z" and text[4:20:3] == "--T::." and text[0] != "0":  # what most write: to the millisecond, in UTC
        try:
            return datetime.fromisoformat(text)
        except ValueError:
            pass
    if _RFC3339(text) is None:
        raise ValueError("not a timestamp in RFC 3339 with an offset, as 2026-03-15T09:22:41.123Z")
    if text[17:19] == "60":
        return _leap_second(text)
    try:
        at = datetime.fromisoformat(text if text[-1] != "z" and text[10] == "T" else text.upper())
        if at.tzinfo is not UTC:
            at = at.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise ValueError("no such date or time") from error
    below = at.microsecond % 1000
    at = at.replace(microsecond=at.microsecond - below) if below else at
    return _KEPT_ZERO if at == _ZERO else at


def _leap_second(text: str) -> datetime:
    before = instant(text[:17] + "59" + text[19:])
    if (before.hour, before.minute) != (23, 59):
        raise ValueError("no such date or time")
    try:
        return before + timedelta(seconds=1)
    except OverflowError as error:
        raise ValueError("no such date or time") from error
