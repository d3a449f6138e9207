"""Patterns that organisations write themselves: RE2 syntax, which knows no pattern that takes for ever. DuckDB, which will run them, says whether one is right."""

import functools
from typing import Any

import duckdb

PATTERN_MAX = 500


@functools.cache
def _engine() -> Any:
    connection = duckdb.connect(":memory:", config={"threads": 1, "memory_limit": "64MB"})
    connection.execute("SET enable_external_access = false")
    return connection


def problem_with(pattern: object) -> str | None:
    """What is wrong with it, for people; null where it will do. One that finds the empty text finds something between any two letters, so it won't."""
    if not isinstance(pattern, str) or not 1 <= len(pattern) <= PATTERN_MAX or not pattern.isprintable():
        return f"must be a pattern of 1 to {PATTERN_MAX} printable characters"
    try:
        found = _engine().execute("SELECT regexp_matches('', ?)", [pattern]).fetchone()
    except duckdb.Error:
        return "is not a pattern in RE2 syntax (there are no look-arounds and no back-references)"
    return "finds the empty text" if found and found[0] else None
