"""A part's bytes as they stream by: the last separator is held back, the rest is compressed, hashed and counted."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import pyarrow as pa
from isal import isal_zlib

from shared.datasets.plan import Column, PlanSpec
from shared.formats.base import Format
from shared.formats.compression import Compressor
from shared.formatting.batches import text_bytes
from shared.formatting.row_groups import RowGroups
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

    def fixed(self, text: bytes) -> None:
        """What stands before or behind a sheet's rows: no separator comes between."""
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

    def take(self, column: pa.Array) -> None:
        self.write(text_bytes(column))

    def write(self, text: memoryview) -> None:
        """The next rows' text; must stay valid until the next call."""
        if not self._separator:
            self._output.put(self._compressor.compress(text))
            return
        if self._held is not None:
            self._output.put(self._compressor.compress(self._held))
        self._held = text

    def fixed(self, text: bytes) -> None:
        self._release()
        self._output.put(self._compressor.compress(text))

    def finish(self, rows: int, first_key: str, last_key: str) -> PartResult:
        self._release()
        if rows:
            self._output.put(self._compressor.flush())
        return self._output.result(rows, first_key, last_key, self._compressor.note(rows) if rows else None)

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

    def fixed(self, text: bytes) -> None:
        raise NotImplementedError("a document has no sheets")

    def finish(self, rows: int, first_key: str, last_key: str) -> PartResult:
        if rows:
            self._output.put(self._made(bytes(self._text.removesuffix(self._separator)).split(self._separator)))
        return self._output.result(rows, first_key, last_key, None)


class TypedPart:
    """Takes rows as structs, one field a column. Nothing is written where there is none."""

    def __init__(self, sink: ByteSink, columns: Sequence[Column]) -> None:
        self._output = _Output(sink)
        self._groups = RowGroups(columns, self._output.put)

    def take(self, column: pa.Array) -> None:
        self._groups.write(column)

    def fixed(self, text: bytes) -> None:
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
    """A part that goes nowhere: keeps the rows one by one, for the few of a preview."""

    def __init__(self) -> None:
        self.rows: list[Any] = []

    def take(self, column: pa.Array) -> None:
        self.rows += column.to_pylist()

    def fixed(self, text: bytes) -> None:
        """What stands around rows isn't shown."""

    def finish(self, rows: int, first_key: str, last_key: str) -> PartResult:
        """No part: nothing was written."""
        return PartResult(rows, 0, "", 0)

    def table(self, fmt: Format, columns: Sequence[Column], spec: PlanSpec, sheet: str | None = None) -> Table:
        return Table(columns, [fmt.texts(row, columns, spec) for row in self.rows], sheet)
