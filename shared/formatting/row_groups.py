"""A parquet part as its rows stream by: row groups of one file's making, without its magic and its footer."""

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from shared.datasets.plan import Column, ColumnType
from shared.formats.parquet import MAGIC, note

_LOOKED_AT = 2_048  # rows that tell whether a column's texts repeat
_GROUP_ROWS = 1 << 20  # a chunk is bounded by bytes, so it is one row group
_LEVEL = 1
_TYPES = {
    ColumnType.int64: pa.int64(), ColumnType.double: pa.float64(), ColumnType.boolean: pa.bool_(), ColumnType.date: pa.date32(),
    ColumnType.timestamp: pa.timestamp("ms", "UTC"), ColumnType.texts: pa.list_(pa.field("element", pa.string())),
}  # fmt: skip


# A column of all rows.
Values: TypeAlias = pa.ChunkedArray | pa.DictionaryArray


def arrow_type(kind: ColumnType) -> pa.DataType:
    """What a column of the kind is in a file."""
    return _TYPES.get(kind, pa.string())


class RowGroups:
    """Takes a struct column of rows and puts out bytes: one field a column (`c0`, `c1` …) but for those that lie `elsewhere`, by their places: whole
    columns, of which a row's values are where the row is."""

    def __init__(
        self, columns: Sequence[Column], put: Callable[[bytes | memoryview], None], elsewhere: Mapping[int, Values] | None = None
    ) -> None:
        self._columns, self._put, self._elsewhere = columns, put, elsewhere or {}
        self._held: list[pa.RecordBatch] = []

    def write(self, column: pa.StructArray) -> None:
        self._held.append(pa.RecordBatch.from_struct_array(column))

    def finish(self) -> bytes:
        """Everything is out but the footer; the part's note. Rows are written all at once: a chunk is bounded by bytes, and a column whose values are coded
        costs the writer a look at all of them for each batch."""
        rows = pa.Table.from_batches(self._held)
        arrays = [self._array(rows, i, column) for i, column in enumerate(self._columns)]
        batch = pa.RecordBatch.from_arrays(arrays, names=[column.key for column in self._columns])
        file = pa.BufferOutputStream()
        with pq.ParquetWriter(
            file, batch.schema, compression="zstd", compression_level=_LEVEL, store_schema=False,
            write_statistics=_compared(batch.schema), version="2.6", data_page_version="1.0", use_dictionary=_repeating(batch),
        ) as writer:  # fmt: skip
            writer.write_batch(batch, row_group_size=_GROUP_ROWS)
        body, footer = _apart(memoryview(file.getvalue()))
        self._put(body)
        return note(footer, len(body), _nulls(batch))

    def _array(self, rows: pa.Table, place: int, column: Column) -> pa.Array:
        values = self._elsewhere[place] if place in self._elsewhere else rows.column(f"c{place}")
        if pa.types.is_dictionary(values.type):
            return values
        wanted = arrow_type(column.type)
        if pa.types.is_timestamp(values.type):
            values = _cut(values, wanted)
        elif not (wanted == pa.string() and pa.types.is_large_string(values.type)):  # which is written the same
            values = values.cast(wanted)
        return values.combine_chunks()


def _apart(file: memoryview) -> tuple[memoryview, bytes]:
    """What stands between the magic and the footer, and the footer. A file ends with the footer, its length and the magic."""
    length = int.from_bytes(file[-8:-4], "little")
    end = len(file) - 8 - length
    return file[len(MAGIC) : end], bytes(file[end:-8])


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
