"""A part's bytes as they stream by: the last separator is held back, the rest is compressed, hashed and counted."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import pyarrow as pa
from isal import isal_zlib

from shared.datasets.plan import Column, PlanSpec
from shared.formats.base import Format, Frame
from shared.formats.binding import Fragment, noted
from shared.formats.compression import Compressor
from shared.formats.xlsx import Fragment as Deflated
from shared.formatting.batches import text_bytes
from shared.formatting.row_groups import RowGroups, Values
from shared.messages import Note


class ByteSink(Protocol):
    """Where a part goes: an object of the store, a file, a buffer."""

    def write(self, data: bytes | memoryview, /) -> object: ...


@dataclass(frozen=True)
class PartResult:
    """A part as written. `bytes` and checksums are of the stored (compressed) bytes; keys are JSON arrays `["<time>","<id>"]`, empty without rows and
    under redaction; `note` is what its format has to know of it to end the file; `redacted` counts what was redacted in the chunk, and `unchanged` a delta's rows that came out as they were: the same in every format."""

    rows: int
    bytes: int
    sha256: str
    crc32: int
    first_key: str = ""
    last_key: str = ""
    note: Note | None = None
    redacted: Mapping[str, int] = field(default_factory=dict)
    unchanged: int = 0


class Part(Protocol):
    """Takes a chunk's rows, batch by batch, as DuckDB gives them for one format."""

    def take(self, column: pa.Array) -> None: ...

    def sheet(self, around: Frame, columns: int) -> None:
        """What comes now is on another sheet, of so many columns; `around`: what stands around its rows."""
        ...

    def finish(self, rows: int, first_key: str, last_key: str) -> PartResult: ...


class _Output:
    """Hashes and counts what goes into the sink."""

    def __init__(self, sink: ByteSink) -> None:
        self._sink = sink
        self._hash, self._crc32, self._bytes = hashlib.sha256(), 0, 0

    def put(self, data: bytes | memoryview) -> None:
        if len(data):
            self._hash.update(data)
            self._crc32 = isal_zlib.crc32(data, self._crc32)
            self._bytes += len(data)
            self._sink.write(data)

    def result(self, rows: int, first_key: str, last_key: str, note: bytes | None) -> PartResult:
        return PartResult(rows, self._bytes, self._hash.hexdigest(), self._crc32, first_key, last_key, note)


class PartWriter:
    """Takes the text of rows, each with `separator` behind, and writes a part without the last one."""

    def __init__(self, sink: ByteSink, compressor: Compressor, separator: bytes) -> None:
        self._output, self._compressor, self._separator = _Output(sink), compressor, separator
        self._held: memoryview | None = None
        self._sheet: Frame | None = None
        self._begun = False  # whether the sheet has a row

    def take(self, column: pa.Array) -> None:
        if self._sheet is not None and not self._begun:
            self._fixed(self._sheet.head)
            self._begun = True
        self.write(text_bytes(column))

    def write(self, text: memoryview) -> None:
        """The next rows' text; must stay valid until the next call."""
        if not self._separator:
            self._output.put(self._compressor.compress(text))
            return
        if self._held is not None:
            self._output.put(self._compressor.compress(self._held))
        self._held = text

    def sheet(self, around: Frame, columns: int) -> None:
        self._end_sheet()
        self._sheet, self._begun = around, False

    def finish(self, rows: int, first_key: str, last_key: str) -> PartResult:
        self._end_sheet()
        self._release()
        if rows:
            self._output.put(self._compressor.flush())
        return self._output.result(rows, first_key, last_key, self._compressor.note(rows) if rows else None)

    def _end_sheet(self) -> None:
        if self._sheet is not None:
            self._fixed(self._sheet.tail if self._begun else self._sheet.empty)

    def _fixed(self, text: bytes) -> None:
        """No separator comes between this and a row."""
        self._release()
        self._output.put(self._compressor.compress(text))

    def _release(self) -> None:
        """What is held back, without its separator."""
        if self._held is not None:
            self._output.put(self._compressor.compress(self._held[: len(self._held) - len(self._separator)]))
            self._held = None


class DocumentPart:
    """Takes the text of all rows and writes the document that `made` makes of it. Nothing is written where there is none."""

    def __init__(self, sink: ByteSink, made: Callable[[Sequence[bytes]], bytes], separator: bytes) -> None:
        self._output, self._made, self._separator = _Output(sink), made, separator
        self._text = bytearray()

    def take(self, column: pa.Array) -> None:
        self._text += text_bytes(column)

    def sheet(self, around: Frame, columns: int) -> None:
        raise NotImplementedError("a document has no sheets")

    def finish(self, rows: int, first_key: str, last_key: str) -> PartResult:
        if rows:
            self._output.put(self._made(bytes(self._text.removesuffix(self._separator)).split(self._separator)))
        return self._output.result(rows, first_key, last_key, None)


class TypedPart:
    """Takes rows as structs: a field for each column that doesn't lie `elsewhere`. Nothing is written where there is none."""

    def __init__(self, sink: ByteSink, columns: Sequence[Column]) -> None:
        self._output, self._columns = _Output(sink), columns
        self._groups = RowGroups(columns, self._output.put)

    def elsewhere(self, columns: Mapping[int, Values]) -> None:
        """Before the first rows: what some columns (by place) hold isn't in the rows."""
        self._groups = RowGroups(self._columns, self._output.put, columns)

    def take(self, column: pa.Array) -> None:
        self._groups.write(column)

    def sheet(self, around: Frame, columns: int) -> None:
        raise NotImplementedError("typed rows have no sheets")

    def finish(self, rows: int, first_key: str, last_key: str) -> PartResult:
        note = self._groups.finish() if rows else None
        return self._output.result(rows, first_key, last_key, note)


@dataclass(frozen=True)
class Table:
    """The rows of a chunk in one format, or of one sheet of them: each has a text for every column."""

    columns: Sequence[Column]
    rows: Sequence[Sequence[str]]
    sheet: str | None = None


class RowsShown:
    """A part that goes nowhere: keeps the rows one by one, for the few of a preview; of many the first `most`."""

    def __init__(self, most: int | None = None) -> None:
        self.rows: list[Any] = []
        self._most = most

    def take(self, column: pa.Array) -> None:
        more = None if self._most is None else self._most - len(self.rows)
        self.rows += column.slice(0, more).to_pylist()

    def sheet(self, around: Frame, columns: int) -> None:
        """What stands around rows isn't shown."""

    def finish(self, rows: int, first_key: str, last_key: str) -> PartResult:
        """No part: nothing was written."""
        return PartResult(rows, 0, "", 0)

    def table(self, fmt: Format, columns: Sequence[Column], spec: PlanSpec, sheet: str | None = None) -> Table:
        return Table(columns, [fmt.texts(row, columns, spec) for row in self.rows], sheet)


class SheetsPart:
    """Takes the rows of several sheets, one sheet behind the other: fragments of a workbook (shared/formats/binding.py). A sheet that has a head begins with it, so it is
    there even without rows; what is beyond `rows_max` begins another."""

    def __init__(self, sink: ByteSink, rows_max: int) -> None:
        self._output, self._rows_max = _Output(sink), rows_max
        self._fragments: list[Fragment] = []
        self._number, self._head, self._columns = -1, b"", 0
        self._open: _OpenFragment | None = None

    def sheet(self, around: Frame, columns: int) -> None:
        self._cut()
        self._number += 1
        self._head, self._columns = around.head, columns if around.head else 0
        if self._head:
            self._begin()

    def take(self, column: pa.Array) -> None:
        while len(column):
            fragment = self._open or self._begin()
            fits = column.slice(0, self._rows_max - fragment.rows)
            fragment.take(text_bytes(fits), len(fits))
            column = column.slice(len(fits))
            if len(column):
                self._cut()

    def finish(self, rows: int, first_key: str, last_key: str) -> PartResult:
        self._cut()
        return self._output.result(rows, first_key, last_key, noted(self._fragments) if rows else None)

    def _begin(self) -> "_OpenFragment":
        self._open = _OpenFragment(self._output.put)
        self._open.take(memoryview(self._head), 0)
        return self._open

    def _cut(self) -> None:
        if self._open is not None:
            self._fragments.append(self._open.end(self._number, self._columns))
            self._open = None


class _OpenFragment:
    """Rows of one sheet as they come: deflated, hashed, passed on."""

    def __init__(self, put: Callable[[bytes | memoryview], None]) -> None:
        self._put, self._deflate, self.rows = put, Deflated(), 0
        self._hash, self._crc32 = hashlib.sha256(), 0

    def take(self, text: memoryview, rows: int) -> None:
        self.rows += rows
        self._pass(self._deflate.compress(text))

    def end(self, sheet: int, columns: int) -> Fragment:
        self._pass(self._deflate.flush())
        return Fragment(sheet, columns, self._deflate.rows(self.rows), self._crc32, self._hash.digest())

    def _pass(self, data: bytes) -> None:
        self._hash.update(data)
        self._crc32 = isal_zlib.crc32(data, self._crc32)
        self._put(data)
