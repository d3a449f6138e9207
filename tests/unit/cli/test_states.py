"""What the command line says of an export in a line."""

import pytest

from cli.core.states import line_of


@pytest.mark.parametrize(
    "status, progress, line",
    [
        ("formatting", {"rows_written": 0, "rows_planned": 10_001}, "formatting · 0 of 10,001 rows found so far"),
        ("formatting", {"rows_written": 500, "rows_planned": 1_000, "percent": 50.0, "eta_seconds": 12}, "formatting 50 % · 500 of 1,000 rows · 12 s left"),
        ("failed", {"rows_written": 500, "rows_planned": 1_000}, "failed · 500 of 1,000 rows"),
        ("accepted", {"queue_position": 3}, "accepted · number 3 in line"),
        ("accepted", {}, "accepted"),
    ],
)  # fmt: skip
def test_rows_are_said_to_be_all_once_they_are(status: str, progress: dict[str, object], line: str) -> None:
    assert line_of({"status": status, "progress": progress}) == line
