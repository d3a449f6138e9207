"""Where the next chunk of a plan may end: by rows, by bytes, and at the end of a file."""

from dataclasses import dataclass, replace

FIRST_ROWS_MAX = 10_001  # of the first chunk, of whose rows nothing is known yet: more than any express export has
FILES_MAX = 2_000  # of all formats together: an event that lists them fits into a Kafka message


@dataclass(frozen=True)
class ChunkLimits:
    """How much one chunk may hold."""

    rows: int
    bytes: int


# Of a dataset whose rows are one chunk, however many.
WHOLE = ChunkLimits(2**53, 2**53)

LARGE_FROM, LARGER = 10, 2


@dataclass(frozen=True)
class Planned:
    """A chunk of the plan: the rows in (lower, upper]. `position` counts from 1 within the file, `file_number` from 1 within the export."""

    number: int
    file_number: int
    position: int
    lower: list[str] | None
    upper: list[str]
    rows: int
    bytes: int


@dataclass(frozen=True)
class Cursor:
    """How far a plan is: the next chunk's number, its file, its place there, how many rows the file still takes (None: no limit).

    `last_rows`, `last_bytes`: what the chunk before holds.
    """

    number: int = 0
    file_number: int = 1
    position: int = 1
    rows_left: int | None = None
    after: list[str] | None = None
    last_rows: int = 0
    last_bytes: int = 0


def start(max_rows_per_file: int | None) -> Cursor:
    return Cursor(rows_left=max_rows_per_file)


def resume(
    max_rows_per_file: int | None,
    chunks: int,
    after: list[str] | None,
    last_file: int,
    chunks_in_file: int,
    rows_in_file: int,
    last_rows: int,
    last_bytes: int,
) -> Cursor:
    """The cursor of a plan of which `chunks` are stored, `chunks_in_file` with `rows_in_file` of them in its last file."""
    if chunks == 0:
        return start(max_rows_per_file)
    if max_rows_per_file is not None and rows_in_file >= max_rows_per_file:
        return Cursor(chunks, last_file + 1, 1, max_rows_per_file, after, last_rows, last_bytes)
    left = None if max_rows_per_file is None else max_rows_per_file - rows_in_file
    return Cursor(chunks, last_file, chunks_in_file + 1, left, after, last_rows, last_bytes)


def grown(limits: ChunkLimits, number: int) -> ChunkLimits:
    """The limits of a plan's chunk: from the eleventh on twice as much. There are enough for all formatters by then, and what a chunk costs whatever its rows, and the
    rows of other tables that neighbouring chunks both read, cost half as much. What is planned depends on the chunk's number alone, so a plan that is made again is the same."""
    return limits if number < LARGE_FROM or limits == WHOLE else ChunkLimits(limits.rows * LARGER, limits.bytes * LARGER)


def rows_max(cursor: Cursor, limits: ChunkLimits) -> int:
    """How many rows the next chunk may hold at most: a little fewer than would fill it if they are like those of the chunk before.

    So bytes are counted of few rows that the chunk doesn't take. What is planned depends on the rows alone, never on who plans or when.
    """
    if limits == WHOLE:
        most = limits.rows
    elif cursor.last_bytes == 0:
        most = min(limits.rows, FIRST_ROWS_MAX)
    else:
        most = min(limits.rows, max(1, limits.bytes * cursor.last_rows * 9 // (cursor.last_bytes * 10)))
    return most if cursor.rows_left is None else min(most, cursor.rows_left)


def add(cursor: Cursor, max_rows_per_file: int | None, rows: int, size: int, last_key: list[str]) -> tuple[Planned, Cursor]:
    """The chunk that was found, and the cursor behind it."""
    chunk = Planned(cursor.number, cursor.file_number, cursor.position, cursor.after, last_key, rows, size)
    behind = replace(
        cursor, number=cursor.number + 1, position=cursor.position + 1, after=last_key, last_rows=rows, last_bytes=size
    )  # fmt: skip
    if cursor.rows_left is None:
        return chunk, behind
    if rows < cursor.rows_left:
        return chunk, replace(behind, rows_left=cursor.rows_left - rows)
    return chunk, replace(behind, file_number=cursor.file_number + 1, position=1, rows_left=max_rows_per_file)


def is_express(chunks: int, rows: int, size: int, complete: bool, rows_limit: int, bytes_limit: int) -> bool:
    """Whether a plan after its first step fits the lane that is kept free: one small chunk."""
    return complete and chunks <= 1 and rows <= rows_limit and size <= bytes_limit
