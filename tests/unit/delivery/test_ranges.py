"""Ranges and conditions of RFC 9110."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.delivery.core.ranges import NotModified, PreconditionFailed, Span, Unsatisfiable, Whole, decide, parse_range

MODIFIED = datetime(2026, 3, 1, 12, 0, 0, 500, tzinfo=UTC)
ETAG = '"abc"'


@given(st.binary(max_size=50), st.integers(0, 60), st.none() | st.integers(0, 60))
def test_a_range_is_a_slice(data: bytes, start: int, last: int | None) -> None:
    answer = parse_range(f"bytes={start}-{'' if last is None else last}", len(data))
    if last is not None and last < start:
        assert answer == Whole()
    elif isinstance(answer, Span):
        assert data[answer.start : answer.end] == data[start : None if last is None else last + 1]
        assert answer.start < answer.end
    else:
        assert answer == Unsatisfiable()
        assert start >= len(data)


@given(st.binary(max_size=50), st.integers(0, 60))
def test_a_suffix_is_the_end(data: bytes, length: int) -> None:
    answer = parse_range(f"bytes=-{length}", len(data))
    if isinstance(answer, Span):
        assert data[answer.start : answer.end] == data[-length:]
    else:
        assert answer == Unsatisfiable()
        assert not data or not length


@pytest.mark.parametrize(
    "header",
    ["", "bytes", "bytes=", "bytes=-", "bytes=a-b", "bytes=0-1,3-4", "rows=0-1", "bytes=5-2", "bytes=" + "9" * 5000 + "-", "bytes=٠-١"],
)
def test_what_is_no_single_range_gives_the_whole_file(header: str) -> None:
    assert parse_range(header, 10) == Whole()


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, Whole()),
        ({"range": "bytes=1-2"}, Span(1, 3)),
        ({"range": "bytes=10-"}, Unsatisfiable()),
        ({"if-none-match": ETAG}, NotModified()),
        ({"if-none-match": 'W/"abc"'}, NotModified()),
        ({"if-none-match": '"x", "abc"'}, NotModified()),
        ({"if-none-match": "*"}, NotModified()),
        ({"if-none-match": '"x"', "if-modified-since": "Sun, 01 Mar 2026 12:00:00 GMT"}, Whole()),
        ({"if-modified-since": "Sun, 01 Mar 2026 12:00:00 GMT"}, NotModified()),
        ({"if-modified-since": "Sun, 01 Mar 2026 11:59:59 GMT"}, Whole()),
        ({"if-modified-since": "yesterday"}, Whole()),
        ({"if-match": ETAG, "range": "bytes=0-0"}, Span(0, 1)),
        ({"if-match": '"x"'}, PreconditionFailed()),
        ({"if-match": 'W/"abc"'}, PreconditionFailed()),
        ({"range": "bytes=1-2", "if-range": ETAG}, Span(1, 3)),
        ({"range": "bytes=1-2", "if-range": '"old"'}, Whole()),
        ({"range": "bytes=1-2", "if-range": 'W/"abc"'}, Whole()),
        ({"range": "bytes=1-2", "if-range": "Sun, 01 Mar 2026 12:00:00 GMT"}, Span(1, 3)),
        ({"range": "bytes=1-2", "if-range": "Sun, 01 Mar 2026 11:00:00 GMT"}, Whole()),
        ({"range": "bytes=99-", "if-range": '"old"'}, Whole()),
    ],
)
def test_conditions_come_before_the_range(headers: dict[str, str], expected: object) -> None:
    assert decide(headers, 10, ETAG, MODIFIED) == expected
