"""Which parts may go to delivery: the contiguous run at the front of what a file still lacks."""

from collections.abc import Sequence
from dataclasses import dataclass

PARTS_MAX, PARTS_SIZE_MAX = 1_000, 1 << 20  # in one message, which may have 2 MiB


@dataclass(frozen=True)
class Tracked:
    """A chunk that delivery doesn't have yet; `size` is about what its parts take of a message, in bytes."""

    number: int
    file_number: int
    done: bool
    size: int = 0


@dataclass(frozen=True)
class Run:
    """Parts of one file that go out now; `last` closes the file."""

    file_number: int
    numbers: tuple[int, ...]
    last: bool


def runs(unsent: Sequence[Tracked], planned: bool, closing: Sequence[int] = ()) -> list[Run]:
    """The runs that can go out.

    `unsent`: all chunks, in order, that delivery lacks of the files in question; `planned`: no chunk is to come; `closing`: files to be
    closed now even where nothing of them is unsent.
    """
    by_file: dict[int, list[Tracked]] = {}
    for chunk in unsent:
        by_file.setdefault(chunk.file_number, []).append(chunk)
    found: list[Run] = []
    for file_number, chunks in sorted(by_file.items()):
        ready = next((i for i, c in enumerate(chunks) if not c.done), len(chunks))
        found += _split(file_number, chunks[:ready], planned and ready == len(chunks))
    found += [Run(file_number, (), True) for file_number in closing if planned and file_number not in by_file]
    return found


def _split(file_number: int, chunks: Sequence[Tracked], last: bool) -> list[Run]:
    pieces: list[list[int]] = []
    size = 0
    for chunk in chunks:
        size += chunk.size
        if not pieces or len(pieces[-1]) == PARTS_MAX or size > PARTS_SIZE_MAX:
            pieces.append([])
            size = chunk.size
        pieces[-1].append(chunk.number)
    return [Run(file_number, tuple(piece), last and i == len(pieces) - 1) for i, piece in enumerate(pieces)]


def numbering_known(max_rows_per_file: int | None, files_planned: int, planned: bool) -> bool:
    """Whether it is settled if the files carry numbers: a name can't change once its first part is on the way."""
    return max_rows_per_file is None or planned or files_planned > 1


_SUFFIXES = {"none": "", "gzip": ".gz", "zstd": ".zst"}


# A delta's files of deletions: what they are called, and what comes on top of the number of the file beside which each stands.
DELETED, DELETED_FROM = "deleted", 1_000_000


def file_name(stem: str, extension: str, compression: str, number: int | None) -> str:
    """What a file is called; `number` where the export is split over several."""
    part = "" if number is None else f"_{number:04d}"
    return f"{stem}{part}.{extension}{_SUFFIXES[compression]}"


def manifest_name(dataset: str, export_id: str) -> str:
    return f"{dataset}_{export_id}.manifest.json"


def part_key(export_id: str, number: int, format_name: str) -> str:
    return f"parts/{export_id}/{number:08d}.{format_name}"


def file_key(org_id: str, export_id: str, name: str) -> str:
    return f"files/{org_id}/{export_id}/{name}"
