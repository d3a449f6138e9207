"""A parquet part as its rows stream by: row groups of one file's making, without its magic and its footer."""

from collections.abc import Callable, Sequence

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from shared.datasets.plan import Column, ColumnType
from shared.formats.parquet import MAGIC, note

_BATCH_ROWS = 8_192  # pages begin and end by batches: always of so many rows, whatever the sizes that come
_GROUP_ROWS = 1 << 20  # a chunk is bounded by bytes, so it is one row group
_FOOTER_MAX = 1 << 20
_LEVEL = 1
_TYPES = {
    ColumnType.int64: pa.int64(), ColumnType.double: pa.float64(), ColumnType.boolean: pa.bool_(), ColumnType.date: pa.date32(),
    ColumnType.timestamp: pa.timestamp("ms", "UTC"), ColumnType.texts: pa.list_(pa.field("element", pa.string())),
}  # fmt: skip


def arrow_type(kind: ColumnType) -> pa.DataType:
    """What a column of the kind is in a file."""
    return _TYPES.get(kind, pa.string())


class RowGroups:
    """Takes a struct column of rows, one field a column, and puts out bytes."""

    def __init__(self, columns: Sequence[Column], put: Callable[[bytes | memoryview], None]) -> None:
        self._schema = pa.schema([pa.field(c.key, arrow_type(c.type)) for c in columns])
        self._body = _Body(put)
        self._writer: pq.ParquetWriter | None = None
        self._held: list[pa.RecordBatch] = []
        self._rows = 0

    def write(self, column: pa.StructArray) -> None:
        arrays = [array.cast(field.type) for array, field in zip(column.flatten(), self._schema, strict=True)]
        self._held.append(pa.RecordBatch.from_arrays(arrays, schema=self._schema))
        self._rows += len(column)
        while self._rows >= _BATCH_ROWS:
            whole = pa.concat_batches(self._held)
            self._put(whole.slice(0, _BATCH_ROWS))
            self._rows -= _BATCH_ROWS
            self._held = [whole.slice(_BATCH_ROWS)]

    def finish(self) -> bytes:
        """Everything is out but the footer; the part's note."""
        if self._rows or self._writer is None:
            self._put(pa.concat_batches(self._held))
        assert self._writer is not None
        self._writer.close()
        size = self._body.end()
        return note(self._body.footer, size)

    def _put(self, batch: pa.RecordBatch) -> None:
        if self._writer is None:
            self._writer = pq.ParquetWriter(
                pa.PythonFile(self._body, mode="w"), self._schema, compression="zstd", compression_level=_LEVEL, store_schema=False,
                write_statistics=True, version="2.6", data_page_version="1.0", use_dictionary=_repeating(batch),
            )  # fmt: skip
        self._writer.write_batch(batch, row_group_size=_GROUP_ROWS)


def _repeating(first: pa.RecordBatch) -> list[str]:
    """The columns that a dictionary makes smaller: texts of which the first rows have each one twice or more. The writer would find out by itself, but
    only once it has looked up every id and every message."""
    names = []
    for name, array in zip(first.schema.names, first.columns, strict=True):
        if pa.types.is_list(array.type):
            names.append(f"{name}.list.element")
        elif pa.types.is_string(array.type) and 2 * pc.count_distinct(array).as_py() <= len(array):
            names.append(name)
    return names


class _Body:
    """What pyarrow writes to: passes on what stands between the magic and the footer. The footer is known for one when the file ends with it."""

    closed = False

    def __init__(self, put: Callable[[bytes | memoryview], None]) -> None:
        self._put, self._held, self._at, self._out = put, bytearray(), 0, 0
        self.footer = b""

    def write(self, data: bytes | memoryview) -> int:
        size = len(data)
        self._held += memoryview(data)[max(0, len(MAGIC) - self._at) :]
        self._at += size
        if len(self._held) > 2 * _FOOTER_MAX:
            self._pass(len(self._held) - _FOOTER_MAX)
        return size

    def end(self) -> int:
        """The part's size in bytes."""
        length = int.from_bytes(self._held[-8:-4], "little")
        if length + 8 > len(self._held):
            raise ValueError("the footer of a part is too long")
        self.footer = bytes(self._held[-8 - length : -8])
        self._pass(len(self._held) - length - 8)
        return self._out

    def _pass(self, size: int) -> None:
        if size:
            self._put(bytes(self._held[:size]))
            del self._held[:size]
            self._out += size

    def tell(self) -> int:
        return self._at

    def flush(self) -> None: ...

    def close(self) -> None: ...

    def readable(self) -> bool:
        return False

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return False
