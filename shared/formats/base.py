"""What a format is: how a row becomes a text in DuckDB, and what stands around a file's parts."""

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from shared.datasets.plan import Column, ColumnType, PlanSpec
from shared.datasets.sql import duck_literal
from shared.formats.compression import Compressor, compressor


@dataclass(frozen=True)
class Frame:
    """A file is `head + part (separator part)* + tail`, or `empty` where it has no row. Uncompressed bytes.

    What ends a binary format's file depends on its parts: then `tail` is what `Format.ending` makes it of.
    """

    head: bytes
    separator: bytes
    tail: bytes
    empty: bytes


@dataclass(frozen=True)
class Fixed:
    """A piece of a line that is the same in every row."""

    text: str


@dataclass(frozen=True)
class Sql:
    """A piece of a line that a DuckDB expression gives; null is nothing."""

    sql: str


Piece = Fixed | Sql


@dataclass(frozen=True)
class Quiet:
    """What is known of a chunk's column of texts at which no format has to look. `full`: none is null or empty; `unquoted`: none holds a quotation mark."""

    full: bool
    unquoted: bool


@dataclass(frozen=True)
class Cell:
    """A column and the DuckDB expressions of its value, and of its row's id where one row has it; and what is known of its texts, where they are quiet."""

    column: Column
    sql: str
    row: str = "null"
    quiet: Quiet | None = None


@dataclass(frozen=True)
class Slice:
    """Bytes of a part (by its place among those with rows, from 0) that stand in the file apart from its others; the checksums are theirs."""

    part: int
    start: int
    size: int
    crc32: int
    sha256: str


class Format:
    """One format. A subclass in a module of its own, named `FORMAT` there, is all that a new one takes.

    A line is `opening + cells joined by comma + closing`; lines follow each other with `row_separator` between. Where rows aren't text but
    `typed` columns, `cell` gives one piece: the value.
    """

    name: ClassVar[str]
    extension: ClassVar[str]
    media_type: ClassVar[str]
    opening: ClassVar[str] = ""
    comma: ClassVar[str] = ","
    closing: ClassVar[str]
    row_separator: ClassVar[str] = ""
    typed: ClassVar[bool] = False
    binary: ClassVar[bool] = False  # compressed by itself; what ends a file follows from what is noted of its parts
    document: ClassVar[bool] = False  # a part is a whole file, made of all rows at once: for few rows, and no file is split
    rows_max_per_file: ClassVar[int | None] = None
    cell_units_max: ClassVar[int | None] = None  # of a text, in UTF-16 code units
    looks_at_texts: ClassVar[bool] = False  # and is faster where a chunk's facts are known to be quiet (shared/formatting/quiet.py)
    sheeted: ClassVar[bool] = False  # shows what a dataset has besides its rows, on sheets of their own
    encrypts_itself: ClassVar[bool] = False  # a password makes it no ZIP, but another file of the format
    protected_rows_max: ClassVar[int | None] = None  # rows a file under a password has, unless fewer are asked for

    @abstractmethod
    def cell(self, cell: Cell, spec: PlanSpec) -> list[Piece]:
        """The text of one cell."""

    @abstractmethod
    def frame(self, spec: PlanSpec) -> Frame:
        """What stands around the parts of a file."""

    def sheet(self, name: str, columns: Sequence[Column], first: bool) -> Frame:
        """What stands around the rows of a workbook's sheet, in a part that holds all of its sheets; `first`: no sheet stands before it."""
        raise NotImplementedError(f"{self.name} has no sheets")

    def cells(self, cells: Sequence[Cell], spec: PlanSpec) -> list[Piece]:
        """Adjacent cells of a line."""
        pieces: list[Piece] = []
        for i, cell in enumerate(cells):
            pieces += [Fixed(self.comma)] * (i > 0) + self.cell(cell, spec)
        return pieces

    def line(self, fragments: Sequence[Sequence[Piece]]) -> str:
        """The DuckDB expression of a row's text from its adjacent runs of cells, the row separator behind."""
        pieces: list[Piece] = [Fixed(self.opening)]
        for i, fragment in enumerate(fragments):
            pieces += [Fixed(self.comma)] * (i > 0) + list(fragment)
        return concat([*pieces, Fixed(self.closing + self.row_separator)])

    def compression(self, spec: PlanSpec) -> str:
        """How the export's files of this format are compressed: a binary format is already."""
        return "none" if self.binary else spec.compression

    def compressor(self, spec: PlanSpec) -> Compressor:
        """What a part's text goes through."""
        return compressor(self.compression(spec))

    def ending(self, tail: bytes, notes: Sequence[bytes]) -> bytes:
        """What ends a file that has rows: `tail` is the frame's, `notes` what is noted of each part with rows, in order."""
        return tail

    def texts(self, row: Any, columns: Sequence[Column], spec: PlanSpec) -> list[str]:
        """The texts of a row's cells, read back from what a part holds of it: a line with its separator, or the values of `typed` columns."""
        return [str(row)]

    def first(self, note: bytes | None) -> Slice | None:
        """What of a part with rows follows the part before it; null: all of it. The rest comes behind the last part."""
        return None

    def behind(self, tail: bytes, notes: Sequence[bytes]) -> Iterator[bytes | Slice]:
        """What stands behind the last part of a file that has rows, in order; the last of it is bytes. Arguments as of `ending`."""
        yield self.ending(tail, notes)

    def finish(self, line: str) -> str:
        """A last look at a whole line, as an expression over the column `line`."""
        return line


def concat(pieces: Sequence[Piece]) -> str:
    """One DuckDB expression of the pieces, fixed neighbours merged; never null."""
    merged: list[Piece] = []
    for piece in pieces:
        if isinstance(piece, Fixed) and merged and isinstance(merged[-1], Fixed):
            merged[-1] = Fixed(merged[-1].text + piece.text)
        else:
            merged.append(piece)
    parts = [duck_literal(p.text) if isinstance(p, Fixed) else p.sql for p in merged if p != Fixed("")]
    return f"concat({', '.join(parts)})" if parts else "''"


def timestamp_text(sql: str, family: str) -> str:
    """A timestamp as its family writes it: UTC to the second, or local to the millisecond."""
    return f"utc_seconds({sql})" if family == "leads" else f"local_text({sql})"


BARE = frozenset({ColumnType.int64, ColumnType.double, ColumnType.boolean, ColumnType.date})
