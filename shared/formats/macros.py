"""The encoders in SQL that a DuckDB connection needs."""

from pathlib import Path

from shared.formats import redaction, zones

_HERE = Path(__file__).parent
# Characters that XML can't hold (no text has U+0000), and the carriage return, which it doesn't keep.
_NOT_XML = (*range(1, 9), *range(0xB, 0x20), 0xFFFE, 0xFFFF)


def encoders() -> str:
    """Statements that define the encoders; once a connection."""
    return (
        (_HERE / "macros.sql").read_text("utf-8")
        + (_HERE / "xlsx.sql").read_text("utf-8").replace("{controls}", _controls("x"))
        + redaction.macros()
    )


def any_length() -> str:
    """Statements for a connection that lets texts of any length through: for who shows what is too long instead of refusing it."""
    return "create or replace temp macro xml_fits(x) as true"


def _controls(sql: str) -> str:
    for code in _NOT_XML:
        sql = f"replace({sql}, chr({code}), '_x{code:04X}_')"
    return sql


def local_time(timezone: str, years: tuple[int, int]) -> str:
    """Statements that define local time of a timezone, fast for `years` (first, last); raises ValueError for an unknown timezone."""
    return ";\n".join(zones.statements(timezone, years))
