"""Values in SQL text."""

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.datasets.instants import resolve_instant
from shared.datasets.sql import duck_literal, literal, snapshot_literal

TEXT = st.text(st.one_of(st.sampled_from(list("'\\\";$-/*{},\n")), st.characters(exclude_characters="\x00", codec="utf-8")), max_size=60)


@settings(max_examples=300, deadline=None)
@given(TEXT)
def test_duckdb_reads_a_literal_as_the_text(text: str) -> None:
    assert duckdb.sql(f"select {duck_literal(text)}").fetchone() == (text,)


@settings(max_examples=300, deadline=None)
@given(TEXT)
def test_a_postgresql_literal_ends_where_it_should(text: str) -> None:
    """Read by PostgreSQL's rules: quotes double, and backslashes escape in E''."""
    made = literal(text)
    escaped = made.startswith("E")
    inner, read, i = made[2:-1] if escaped else made[1:-1], "", 0
    while i < len(inner):
        if inner[i] == "'" or (escaped and inner[i] == "\\"):
            assert inner[i : i + 2] == inner[i] * 2
            i += 1
        assert escaped or inner[i] != "\\"
        read += inner[i]
        i += 1
    assert read == text


@pytest.mark.parametrize("bad", ["a\x00b", "\ud800"])
def test_what_no_text_can_hold_is_refused(bad: str) -> None:
    for make in (literal, duck_literal):
        with pytest.raises(ValueError, match="must not hold"):
            make(bad)


@pytest.mark.parametrize("bad", ["", "1:2", "1:2:'; drop table x", "1:2:3,", "a:b:c", "1:2:3\n"])
def test_only_a_snapshot_is_a_snapshot(bad: str) -> None:
    with pytest.raises(ValueError, match="not a PostgreSQL snapshot"):
        snapshot_literal(bad)
    assert snapshot_literal("10:20:10,15") == "'10:20:10,15'::pg_snapshot"


@pytest.mark.parametrize(
    ("text", "timezone", "instant"),
    [
        ("2026-03-01", "Europe/Brussels", "2026-02-28T23:00:00+00:00"),
        ("2026-03-08T02:30:00", "America/New_York", "2026-03-08T07:00:00+00:00"),  # skipped: the first instant after
        ("2026-11-01T01:30:00", "America/New_York", "2026-11-01T05:30:00+00:00"),  # twice: the first
        ("2018-11-04", "America/Sao_Paulo", "2018-11-04T03:00:00+00:00"),  # midnight is skipped
        ("2011-12-30", "Pacific/Apia", "2011-12-30T10:00:00+00:00"),  # the whole day is skipped
        ("2026-03-01T09:00:00.5+01:00", "UTC", "2026-03-01T08:00:00.500000+00:00"),
        ("2026-03-01T09:00Z", "Asia/Tokyo", "2026-03-01T09:00:00+00:00"),
        ("0001-01-01", "Europe/Brussels", "0001-01-01T00:00:00+00:00"),  # would lie before the calendar
        ("9999-12-31T23:30:00-02:00", "UTC", "9999-12-31T23:59:59.999999+00:00"),
    ],
)
def test_instants(text: str, timezone: str, instant: str) -> None:
    assert resolve_instant(text, timezone).isoformat() == instant


@pytest.mark.parametrize("text", ["2026-3-1", "2026-02-30", "2026-03-01T25:00:00", "now", "", "2026-03-01T00:00:00+25:00"])
def test_not_instants(text: str) -> None:
    with pytest.raises(ValueError, match=r"must be|is not"):
        resolve_instant(text, "UTC")
