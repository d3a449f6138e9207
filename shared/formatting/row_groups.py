"""A parquet part as its rows stream by: row groups of one file's making, without its magic and its footer."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from shared.datasets.plan import Column, ColumnType
from shared.formats.parquet import MAGIC, note

_LOOKED_AT = 8_192  # rows that tell whether a column's texts repeat
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


_CODED = pa.dictionary(pa.int32(), pa.string())


@dataclass(frozen=True)
class Coded:
    """A column whose values stand in a table of few rows: a row of the chunk has the row's number in its field `field`."""

    field: str
    values: pa.DictionaryArray

    @staticmethod
    def of(field: str, values: pa.Array) -> "Coded":
        encoded = values.cast(pa.string()).dictionary_encode()
        return Coded(field, encoded)

    def take(self, numbers: pa.Array) -> pa.DictionaryArray:
        return pa.DictionaryArray.from_arrays(self.values.indices.take(numbers), self.values.dictionary)


class RowGroups:
    """Takes a struct column of rows and puts out bytes: one field a column (`c0`, `c1` …) but for those that are `coded`, by their places."""

    def __init__(
        self, columns: Sequence[Column], put: Callable[[bytes | memoryview], None], coded: Mapping[int, Coded] | None = None
    ) -> None:
        self._coded = coded or {}
        self._schema = pa.schema([pa.field(c.key, _CODED if i in self._coded else arrow_type(c.type)) for i, c in enumerate(columns)])
        self._body = _Body(put)
        self._held: list[pa.RecordBatch] = []

    def write(self, column: pa.StructArray) -> None:
        self._held.append(pa.RecordBatch.from_struct_array(column))

    def finish(self) -> bytes:
        """Everything is out but the footer; the part's note. Rows are written all at once: a chunk is bounded by bytes, and a column whose values are coded
        costs the writer a look at all of them for each batch."""
        rows = pa.Table.from_batches(self._held)
        arrays = [self._array(rows, i, field) for i, field in enumerate(self._schema)]
        batch = pa.RecordBatch.from_arrays(arrays, schema=self._schema)
        writer = pq.ParquetWriter(
            pa.PythonFile(self._body, mode="w"), self._schema, compression="zstd", compression_level=_LEVEL, store_schema=False,
            write_statistics=True, version="2.6", data_page_version="1.0", use_dictionary=_repeating(batch),
        )  # fmt: skip
        writer.write_batch(batch, row_group_size=_GROUP_ROWS)
        writer.close()
        size = self._body.end()
        return note(self._body.footer, size)

    def _array(self, rows: pa.Table, place: int, field: pa.Field) -> pa.Array:
        if coded := self._coded.get(place):
            return coded.take(rows.column(coded.field).combine_chunks())
        return rows.column(f"c{place}").cast(field.type).combine_chunks()


def _repeating(rows: pa.RecordBatch) -> list[str]:
    """The columns that a dictionary makes smaller: texts of which the first rows have each one twice or more. The writer would find out by itself, but
    only once it has looked up every id and every message."""
    names = []
    first = rows.slice(0, _LOOKED_AT)
    for name, array in zip(first.schema.names, first.columns, strict=True):
        if pa.types.is_list(array.type):
            names.append(f"{name}.list.element")
        elif pa.types.is_dictionary(array.type) or (pa.types.is_string(array.type) and 2 * pc.count_distinct(array).as_py() <= len(array)):
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
