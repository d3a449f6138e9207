"""What part of a file a request asks for, and whether it needs it at all (RFC 9110, sections 13 and 14)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

_RANGE = re.compile(r"bytes\s*=\s*(?:(\d{1,18})\s*-\s*(\d{1,18})?|-\s*(\d{1,18}))\s*", re.ASCII | re.IGNORECASE)
_TAGS = re.compile(r'(?:W/)?"[^"]*"')


@dataclass(frozen=True)
class Span:
    """The bytes [start, end)."""

    start: int
    end: int


@dataclass(frozen=True)
class Unsatisfiable:
    """416: the range lies outside of the file."""


@dataclass(frozen=True)
class Whole:
    """200: all of it."""


@dataclass(frozen=True)
class NotModified:
    """304: the caller has it."""


@dataclass(frozen=True)
class PreconditionFailed:
    """412: the caller wants another version than this."""


Answer = Span | Unsatisfiable | Whole | NotModified | PreconditionFailed


def decide(headers: Mapping[str, str], size: int, etag: str, modified: datetime) -> Answer:
    """`headers` in lower case; `etag` strong and quoted. Conditions come before the range; a stale If-Range gives the whole file."""
    if "if-match" in headers and not _matches(headers["if-match"], etag, weak=False):
        return PreconditionFailed()
    if "if-none-match" in headers:
        if _matches(headers["if-none-match"], etag, weak=True):
            return NotModified()
    elif (since := _date(headers.get("if-modified-since", ""))) is not None and modified.replace(microsecond=0) <= since:
        return NotModified()
    if "range" not in headers or not _if_range(headers.get("if-range"), etag, modified):
        return Whole()
    return parse_range(headers["range"], size)


def parse_range(header: str, size: int) -> Span | Unsatisfiable | Whole:
    """One range: `a-b`, `a-`, `-n`. Several ranges, other units and what is malformed are ignored, as the RFC allows: the whole file."""
    match = _RANGE.fullmatch(header.strip())
    if match is None:
        return Whole()
    first, last, suffix = match.groups()
    if suffix is not None:
        length = min(int(suffix), size)
        return Span(size - length, size) if length else Unsatisfiable()
    start, end = int(first), size if last is None else min(int(last) + 1, size)
    if last is not None and int(last) < start:
        return Whole()
    return Span(start, end) if start < size else Unsatisfiable()


def _matches(header: str, etag: str, weak: bool) -> bool:
    if header.strip() == "*":
        return True
    tags = _TAGS.findall(header)
    return etag in ([t.removeprefix("W/") for t in tags] if weak else tags)


def _if_range(header: str | None, etag: str, modified: datetime) -> bool:
    if header is None:
        return True
    if '"' in header:
        return header.strip() == etag
    return _date(header) == modified.replace(microsecond=0)


def _date(header: str) -> datetime | None:
    try:
        found = parsedate_to_datetime(header)
    except (ValueError, TypeError, OverflowError):
        return None
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found
