"""The encoders in SQL that a DuckDB connection needs."""

from pathlib import Path

from shared.formats import zones

_MACROS = Path(__file__).with_name("macros.sql").read_text("utf-8")


def encoders() -> str:
    """Statements that define the encoders; once a connection."""
    return _MACROS


def local_time(timezone: str, years: tuple[int, int]) -> str:
    """Statements that define local time of a timezone, fast for `years` (first, last); raises ValueError for an unknown timezone."""
    return ";\n".join(zones.statements(timezone, years))
