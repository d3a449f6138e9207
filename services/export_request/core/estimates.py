"""How large an export would be and how long it would take: from what was counted, and from what samples weigh.

Of rows that were counted one knows about how many bytes each is in PostgreSQL. Samples begin at places spread evenly over those bytes, not over the rows: where the
bytes are, there the samples are, and each stands for the same share of them (systematic sampling with probability proportional to size; the estimate is the
mean of the samples' ratios, after Hansen and Hurwitz). So a few rows that are most of an export are weighed as such.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import accumulate

from services.export_request.core.planning import LARGE_FROM, LARGER
from shared.datasets import registry as datasets
from shared.datasets.base import Dataset
from shared.datasets.plan import PlanSpec
from shared.datasets.workbooks import Workbook
from shared.formats import registry as formats
from shared.formats.base import Frame

PLACES = 5
BEYOND = 4
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
    """What was counted with its bytes; `complete`: all of it. Where not, `rest` says how many rows come behind: `guessed` as PostgreSQL's statistics put it,
    or counted too."""

    chunks: tuple[Chunk, ...] = ()
    complete: bool = True
    rest: int = 0
    guessed: bool = False

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
    """Rows that were formatted for their size: `size` of them in PostgreSQL, of each format the bytes of its part and its note. Of a delta not all are written.

    `share`: how much of the bytes counted they stand for; 0: they are from behind what was counted.
    """

    rows: int
    size: int
    seconds: float
    parts: Mapping[str, tuple[int, bytes | None]]
    written: int = 0
    share: float = 1.0


def is_grouped(dataset: Dataset) -> bool:
    """Whether finding some of its rows costs as much as finding all of them."""
    return dataset.whole and not isinstance(dataset, Workbook)


def rest_of(counted: int, explained: float, explained_rest: float) -> int:
    """How many rows come behind those counted: PostgreSQL's guess, corrected by how far it is off where it could be checked."""
    return round(explained_rest * counted / explained) if explained > 0 else round(explained_rest)


def places(chunks: Sequence[Chunk], count: int = PLACES) -> list[tuple[int, int]]:
    """Where samples begin: the chunk, and how many bytes behind its start. Each is the middle of an equal share of all bytes."""
    ends = list(accumulate(chunk.bytes for chunk in chunks))
    found, at = [], 0
    for n in range(count):
        middle = (2 * n + 1) * ends[-1] // (2 * count)
        while ends[at] <= middle and at < len(ends) - 1:
            at += 1
        found.append((at, middle - (ends[at] - chunks[at].bytes)))
    return found


def beyond(spec: PlanSpec, walked: Walked, now: datetime) -> list[list[str]]:
    """Keys behind the rows that were counted, spread over the time that is left: where the order is one of time and the range ends."""
    last = walked.chunks[-1].upper[0] if walked.chunks else ""
    if walked.complete or spec.to is None:
        return []
    begin = datetime.fromisoformat(last)
    end = max(begin, min(spec.to, now))
    return [[(begin + (end - begin) * i / BEYOND).isoformat(timespec="microseconds"), ""] for i in range(BEYOND)]


def _total(walked: Walked, samples: Sequence[Sample], values: Sequence[float]) -> float:
    """The sum over all rows of what is known of each sample's: of those counted by their bytes, of those behind by how many they are."""
    inside = [(s, v) for s, v in zip(samples, values, strict=True) if s.share and s.size]
    shares = sum(s.share for s, _ in inside)
    counted = walked.bytes * sum(s.share * v / s.size for s, v in inside) / shares if shares else 0.0
    if not walked.rest:
        return counted
    behind = [(s, v) for s, v in zip(samples, values, strict=True) if not s.share]
    if rows := sum(s.rows for s, _ in behind):
        return counted + walked.rest * sum(v for _, v in behind) / rows
    return counted * walked.rows / walked.counted if walked.counted else counted


def estimated_bytes(
    spec: PlanSpec, walked: Walked, samples: Sequence[Sample], frames: Mapping[str, Frame], chunk_rows: float, protected: bool
) -> dict[str, int]:
    """Of all files of each format. `chunk_rows`: how many rows a chunk has."""
    files = files_of(spec, walked.rows)
    found = {}
    for name, frame in frames.items():
        kind = formats.get(name)
        wrapped = _PROTECTED_BYTES if protected and not kind.encrypts_itself else 0
        notes = [note or b"" for size, note in (s.parts[name] for s in samples) if size]
        if not walked.rows or not notes:
            found[name] = len(frame.empty) + wrapped
            continue
        parts = parts_of(walked, files, chunk_rows)
        shown = [notes[i % len(notes)] for i in range(min(parts, _NOTES_MAX))]
        behind = sum(len(piece) for piece in kind.behind(frame.tail, shown) if isinstance(piece, bytes))
        ending = behind * max(1.0, parts / _NOTES_MAX)
        around = files * (len(frame.head) + ending + wrapped + (parts - 1) * len(frame.separator))
        found[name] = round(_total(walked, samples, [s.parts[name][0] for s in samples]) + around)
    return found


def estimated_rows(spec: PlanSpec, walked: Walked, samples: Sequence[Sample]) -> int:
    """Of a delta the rows counted are those that may have changed."""
    return round(_total(walked, samples, [s.written for s in samples])) if spec.since is not None and samples else walked.rows


def estimated_seconds(
    spec: PlanSpec, walked: Walked, samples: Sequence[Sample], begin_seconds: float, chunk_rows: float, formatters: int
) -> float:
    """Until the files are there, where nothing else is under way. `begin_seconds`: what a chunk takes that has hardly a row."""
    if not samples:
        return SECONDS_BESIDE
    if is_grouped(datasets.get(spec.dataset)):
        return round(SECONDS_BESIDE + sum(s.seconds for s in samples), 1)
    rows = _total(walked, samples, [max(s.seconds / 10, s.seconds - begin_seconds) for s in samples])
    files = files_of(spec, walked.rows)
    parts = files * parts_of(walked, files, chunk_rows)
    return round(SECONDS_BESIDE + (rows + parts * begin_seconds) / min(parts, formatters), 1)


def files_of(spec: PlanSpec, rows: int) -> int:
    """How many files each format has."""
    return max(1, math.ceil(rows / spec.max_rows_per_file)) if spec.max_rows_per_file else 1


def parts_of(walked: Walked, files: int, chunk_rows: float) -> int:
    """How many parts a file of each format has, a chunk of `chunk_rows` each until chunks are larger (core/planning.py: grown)."""
    chunks = files * max(1, math.ceil(walked.rows / files / chunk_rows))
    larger = max(0, chunks - LARGE_FROM)
    return math.ceil((chunks - larger + larger / LARGER) / files)
