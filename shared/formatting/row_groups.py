"""A parquet part as its rows stream by: row groups of one file's making, without its magic and its footer."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from shared.datasets.plan import Column, ColumnType
from shared.formats.parquet import MAGIC, note

_LOOKED_AT = 2_048  # rows that tell whether a column's texts repeat
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
    """Takes a struct column of rows and puts out bytes: one field a column (`c0`, `c1` …) but for those that are `coded` or `straight`, by their places.

    `straight`: whole columns, of which a row's values are where the row is.
    """

    def __init__(
        self, columns: Sequence[Column], put: Callable[[bytes | memoryview], None], coded: Mapping[int, Coded] | None = None,
        straight: Mapping[int, pa.ChunkedArray] | None = None,
    ) -> None:  # fmt: skip
        self._coded, self._straight = coded or {}, straight or {}
        self._columns, self._body = columns, _Body(put)
        self._held: list[pa.RecordBatch] = []

    def write(self, column: pa.StructArray) -> None:
        self._held.append(pa.RecordBatch.from_struct_array(column))

    def finish(self) -> bytes:
        """Everything is out but the footer; the part's note. Rows are written all at once: a chunk is bounded by bytes, and a column whose values are coded
        costs the writer a look at all of them for each batch."""
        rows = pa.Table.from_batches(self._held)
        arrays = [self._array(rows, i, column) for i, column in enumerate(self._columns)]
        batch = pa.RecordBatch.from_arrays(arrays, names=[column.key for column in self._columns])
        writer = pq.ParquetWriter(
            pa.PythonFile(self._body, mode="w"), batch.schema, compression="zstd", compression_level=_LEVEL, store_schema=False,
            write_statistics=_compared(batch.schema), version="2.6", data_page_version="1.0", use_dictionary=_repeating(batch),
        )  # fmt: skip
        writer.write_batch(batch, row_group_size=_GROUP_ROWS)
        writer.close()
        size = self._body.end()
        return note(self._body.footer, size, _nulls(batch))

    def _array(self, rows: pa.Table, place: int, column: Column) -> pa.Array:
        if coded := self._coded.get(place):
            return coded.take(rows.column(coded.field).combine_chunks())
        values = self._straight[place] if place in self._straight else rows.column(f"c{place}")
        wanted = arrow_type(column.type)
        if pa.types.is_timestamp(values.type):
            values = _cut(values, wanted)
        elif not (wanted == pa.string() and pa.types.is_large_string(values.type)):  # which is written the same
            values = values.cast(wanted)
        return values.combine_chunks()


def _cut(times: pa.ChunkedArray, wanted: pa.DataType) -> pa.ChunkedArray:
    """Times without what is finer than the file's unit, as texts show them. A cast alone cuts towards 1970: of times before it, that is another instant."""
    earliest = pc.min(times).value
    if earliest is not None and earliest < 0:
        times = pc.floor_temporal(times, unit="millisecond")
    return times.cast(wanted, safe=False)


def _nulls(rows: pa.RecordBatch) -> list[dict[str, int]]:
    """How many nulls each row group has, by column."""
    groups = [rows.slice(start, _GROUP_ROWS) for start in range(0, rows.num_rows, _GROUP_ROWS)]
    return [dict(zip(group.schema.names, (column.null_count for column in group.columns), strict=True)) for group in groups]


def _compared(schema: pa.Schema) -> list[str]:
    """The columns whose least and greatest value the writer looks for: those of which a note keeps them, and lists, of whose entries it counts nulls."""
    compared = [field for field in schema if not _is_text(field.type) and not pa.types.is_dictionary(field.type)]
    return [f"{field.name}.list.element" if pa.types.is_list(field.type) else field.name for field in compared]


def _repeating(rows: pa.RecordBatch) -> list[str]:
    """The columns that a dictionary makes smaller: texts of which the first rows have each one twice or more. The writer would find out by itself, but
    only once it has looked up every id and every message."""
    names = []
    first = rows.slice(0, _LOOKED_AT)
    for name, array in zip(first.schema.names, first.columns, strict=True):
        if pa.types.is_list(array.type):
            names.append(f"{name}.list.element")
        elif pa.types.is_dictionary(array.type) or (_is_text(array.type) and 2 * pc.count_distinct(array).as_py() <= len(array)):
            names.append(name)
    return names


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


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
