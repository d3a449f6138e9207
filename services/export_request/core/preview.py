"""What a preview tells of an export: how large it would be, from what was counted and what samples weigh, and what would break."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from services.export_request.core.limits import Limits
from services.export_request.core.planning import FILES_MAX
from shared.datasets import registry as datasets
from shared.datasets.plan import PlanSpec
from shared.datasets.workbooks import Workbook
from shared.formats import registry as formats
from shared.formats.base import Frame
from shared.formatting.parts import Table

ROWS_SHOWN = 50
PROBLEMS_MAX = 50
SAMPLES_MAX = 4
SECONDS_BESIDE = 0.3  # of an export, whatever its size: acceptance, plan, assembly
_PROTECTED_BYTES = 250  # around a member of an encrypted ZIP
_NOTES_MAX = 200


@dataclass(frozen=True)
class Chunk:
    """Rows in (lower, upper] of the walk, and about how many bytes they are in PostgreSQL; `long`: a text of them may fit no cell."""

    lower: Sequence[str] | None
    upper: Sequence[str]
    rows: int
    bytes: int
    long: bool = False


@dataclass(frozen=True)
class Walked:
    """What was counted; `complete`: all of it. Where not, `rest` says how many rows come behind, as PostgreSQL's statistics put it."""

    chunks: tuple[Chunk, ...] = ()
    complete: bool = True
    rest: int = 0

    @property
    def counted(self) -> int:
        return sum(c.rows for c in self.chunks)

    @property
    def rows(self) -> int:
        return self.counted + self.rest

    @property
    def bytes(self) -> int:
        """In PostgreSQL, of the rows counted."""
        return sum(c.bytes for c in self.chunks)


@dataclass(frozen=True)
class Sample:
    """Rows that were formatted for their size: `size` of them in PostgreSQL, of each format the bytes of its part and its note. Of a delta not all are written."""

    rows: int
    size: int
    seconds: float
    parts: Mapping[str, tuple[int, bytes | None]]
    written: int = 0


@dataclass(frozen=True)
class Problem:
    """What would break, or be otherwise than one might think, and where: the row counts from 1 over all of the export."""

    message: str
    row: int | None = None
    column: str | None = None

    @property
    def view(self) -> dict[str, Any]:
        return {"row": self.row, "column": self.column, "message": self.message}


def rest_of(counted: int, explained: float, explained_rest: float) -> int:
    """How many rows come behind those counted: PostgreSQL's guess, corrected by how far it is off where it could be checked."""
    return round(explained_rest * counted / explained) if explained > 0 else round(explained_rest)


def sampled(chunks: Sequence[Chunk]) -> list[int]:
    """Places of the chunks that samples are taken from the start of: spread over all."""
    count = min(SAMPLES_MAX, len(chunks))
    return [i * len(chunks) // count for i in range(count)]


def beyond(spec: PlanSpec, walked: Walked, now: datetime) -> list[list[str]]:
    """Keys behind the rows that were counted, spread over the time that is left: where the order is one of time and the range ends."""
    last = walked.chunks[-1].upper[0] if walked.chunks else ""
    if walked.complete or spec.to is None:
        return []
    begin = datetime.fromisoformat(last)
    end = max(begin, min(spec.to, now))
    return [[(begin + (end - begin) * i / SAMPLES_MAX).isoformat(timespec="microseconds"), ""] for i in range(SAMPLES_MAX)]


def estimated_bytes(
    spec: PlanSpec, walked: Walked, samples: Sequence[Sample], frames: Mapping[str, Frame], chunk_rows: float, protected: bool
) -> dict[str, int]:
    """Of all files of each format. `chunk_rows`: how many rows a chunk has."""
    files = files_of(spec, walked.rows)
    size, found = sum(s.size for s in samples), {}
    for name, frame in frames.items():
        kind = formats.get(name)
        wrapped = _PROTECTED_BYTES if protected and not kind.encrypts_itself else 0
        if not walked.rows or not size:
            found[name] = len(frame.empty) + wrapped
            continue
        notes = [note or b"" for note in (s.parts[name][1] for s in samples)]
        parts = max(1, math.ceil(walked.rows / files / chunk_rows))
        shown = [notes[i % len(notes)] for i in range(min(parts, _NOTES_MAX))]
        behind = sum(len(piece) for piece in kind.behind(frame.tail, shown) if isinstance(piece, bytes))
        ending = behind * max(1.0, parts / _NOTES_MAX)
        # Of rows that were counted one knows how large they are; those behind are as those that were looked at.
        share = walked.bytes / size if walked.complete else walked.rows / sum(s.rows for s in samples)
        found[name] = round(
            sum(s.parts[name][0] for s in samples) * share
            + files * (len(frame.head) + ending + wrapped + (parts - 1) * len(frame.separator))
        )
    return found


def estimated_rows(spec: PlanSpec, walked: Walked, samples: Sequence[Sample]) -> int:
    """Of a delta the rows counted are those that may have changed."""
    looked_at = sum(s.rows for s in samples)
    return round(walked.rows * sum(s.written for s in samples) / looked_at) if spec.since is not None and looked_at else walked.rows


def estimated_seconds(spec: PlanSpec, walked: Walked, samples: Sequence[Sample], formatters: int) -> float:
    """Until the files are there, where nothing else is under way."""
    rows, seconds = sum(s.rows for s in samples), sum(s.seconds for s in samples)
    if not rows:
        return SECONDS_BESIDE
    groups = datasets.get(spec.dataset).whole and not isinstance(datasets.get(spec.dataset), Workbook)
    return round(SECONDS_BESIDE + (seconds if groups else seconds * walked.rows / rows / formatters), 1)


def files_of(spec: PlanSpec, rows: int) -> int:
    """How many files each format has."""
    return max(1, math.ceil(rows / spec.max_rows_per_file)) if spec.max_rows_per_file else 1


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
            "estimate": "counted" if self.walked.complete else "extrapolated", "personal_columns": self.personal,
            "problems": [p.view for p in _once(self.problems)[:PROBLEMS_MAX]],
        }  # fmt: skip


def _table(table: Table) -> dict[str, Any]:
    return {
        "columns": [c.key for c in table.columns], "headers": [c.header for c in table.columns], "rows": [list(row) for row in table.rows[:ROWS_SHOWN]],
    }  # fmt: skip


def _once(problems: Sequence[Problem]) -> list[Problem]:
    return sorted(dict.fromkeys(problems), key=lambda p: (p.row is None, p.row or 0))
