"""What a preview tells of an export: its first rows, how large it would be (estimates.py), and what would break."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from services.export_request.core.estimates import Walked, files_of
from services.export_request.core.limits import Limits
from services.export_request.core.planning import FILES_MAX
from shared.datasets import registry as datasets
from shared.datasets.plan import PlanSpec
from shared.datasets.workbooks import Workbook
from shared.formatting.parts import Table

ROWS_SHOWN = 50
PROBLEMS_MAX = 50


@dataclass(frozen=True)
class Problem:
    """What would break, or be otherwise than one might think, and where: the row counts from 1 over all of the export."""

    message: str
    row: int | None = None
    column: str | None = None

    @property
    def view(self) -> dict[str, Any]:
        return {"row": self.row, "column": self.column, "message": self.message}


def limits_met(spec: PlanSpec, rows: int, limits: Limits, used_running: int, used_rows: int, approval_above: int | None) -> list[Problem]:
    """What stands in the way of so many rows."""
    dataset, found = datasets.get(spec.dataset), []
    most = dataset.found_rows_max if "q" in spec.filter else None
    if most is not None and rows > most:
        found.append(
            Problem(
                f"The search finds {rows} rows, and {most} may be exported from one: narrow it, or ask by a range and filters without q.",
                most + 1,
            )
        )
    files = files_of(spec, rows)
    if files * len(spec.formats) > FILES_MAX:
        found.append(Problem(f"The export would have more than {FILES_MAX} files: ask for more rows a file."))
    elif files > 1 and spec.max_rows_per_file is not None:
        found.append(
            Problem(f"The rows are split over {files} numbered files of {spec.max_rows_per_file} rows at most.", spec.max_rows_per_file + 1)
        )
    if limits.rows_a_day is not None and used_rows + rows > limits.rows_a_day:
        found.append(
            Problem(f"With it your organisation's exports have {used_rows + rows} rows today, and {limits.rows_a_day} a day is its limit.")
        )
    if limits.exports_at_once is not None and used_running >= limits.exports_at_once:
        found.append(
            Problem(f"Your organisation runs {used_running} exports at this moment, and {limits.exports_at_once} at once is its limit.")
        )
    if approval_above is not None and rows > approval_above:
        found.append(Problem(f"It waits for somebody else's approval, as exports of more than {approval_above} rows do."))
    return found


def too_long(tables: Sequence[Table], units_max: int) -> list[Problem]:
    """Texts among the rows shown that a cell doesn't take."""
    return [
        Problem(_TOO_LONG, row, columns.header)
        for table in tables
        for row, texts in enumerate(table.rows, 1)
        for columns, text in zip(table.columns, texts, strict=True)
        if len(text) > units_max // 2 and len(text.encode("utf-16-le", "surrogatepass")) // 2 > units_max
    ]


_TOO_LONG = "The text is longer than a cell takes: leave the column out, or ask for another format."


def too_long_at(row: int, header: str) -> Problem:
    return Problem(_TOO_LONG, row, header)


@dataclass(frozen=True)
class Preview:
    """What is answered."""

    spec: PlanSpec
    walked: Walked
    tables: Sequence[Table]
    rows: int
    bytes: Mapping[str, int]
    seconds: float
    problems: Sequence[Problem] = field(default=())

    @property
    def personal(self) -> list[str]:
        """Keys of columns with a person's data, of a workbook with their sheet in front."""
        dataset = datasets.get(self.spec.dataset)
        if isinstance(dataset, Workbook):
            return [f"{sheet}.{c.key}" for sheet, columns in dataset.sheet_columns().items() for c in columns if c.personal]
        return list(dict.fromkeys(c.key for c in dataset.redactable(self.spec) if c.personal))

    @property
    def view(self) -> dict[str, Any]:
        tables = [_table(t) for t in self.tables] or [{"columns": [], "headers": [], "rows": []}]
        sheets = [{"name": t.sheet, **shown} for t, shown in zip(self.tables, tables, strict=False) if t.sheet is not None]
        return {
            "dataset": self.spec.dataset, "format": self.spec.formats[0], **tables[0], "sheets": sheets or None,
            "estimated_rows": self.rows, "estimated_bytes": sum(self.bytes.values()), "estimated_bytes_by_format": dict(self.bytes), "estimated_seconds": self.seconds,
            "estimate": "extrapolated" if self.walked.guessed else "counted", "personal_columns": self.personal,
            "problems": [p.view for p in _once(self.problems)[:PROBLEMS_MAX]],
        }  # fmt: skip


def _table(table: Table) -> dict[str, Any]:
    return {
        "columns": [c.key for c in table.columns], "headers": [c.header for c in table.columns], "rows": [list(row) for row in table.rows[:ROWS_SHOWN]],
    }  # fmt: skip


def _once(problems: Sequence[Problem]) -> list[Problem]:
    return sorted(dict.fromkeys(problems), key=lambda p: (p.row is None, p.row or 0))
