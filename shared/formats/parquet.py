"""parquet: typed columns. A part is row groups without magic and footer; their metadata is its note, and whoever ends the file joins the notes to its footer.

Source: parquet-format 2.11, parquet.thrift; the numbers are its fields. Timestamps are milliseconds, UTC. A footer names no Arrow schema, so every reader
goes by the parquet types.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

from shared.datasets import registry as datasets
from shared.datasets.plan import Column, ColumnType, PlanSpec
from shared.formats.base import Cell, Format, Frame, Piece, Sql
from shared.formats.thrift import BINARY, I16, I32, I64, LIST, STRUCT, TRUE, Items, Struct, dumps, loads

MAGIC = b"PAR1"
# What made the file; the same for ever, so that the bytes are.
_CREATED_BY = b"waybill version 1 (build 1)"
_BOOLEAN, _INT32, _INT64, _DOUBLE, _BYTE_ARRAY = 0, 1, 2, 5, 6
_REQUIRED, _OPTIONAL, _REPEATED = 0, 1, 2
_UTF8, _LIST, _DATE, _MILLIS = 0, 3, 6, 9
_YEARS_US = 62_135_596_800_000_000  # from the year 1, where times begin, to 1970
_OFFSETS = (9, 10, 11)  # of a column's metadata: data pages, index page, dictionary page


class Parquet(Format):
    name = "parquet"
    extension = "parquet"
    media_type = "application/vnd.apache.parquet"
    closing = ""
    typed = True
    binary = True

    def cell(self, cell: Cell, spec: PlanSpec) -> list[Piece]:
        kind, x = cell.column.type, cell.sql
        if kind is ColumnType.timestamp:
            # Not epoch_ms, which cuts towards 1970: what is finer is cut off as texts show it.
            return [Sql(f"(epoch_us({x}) + {_YEARS_US}) // 1000 - {_YEARS_US // 1000}")]
        if kind is ColumnType.property:
            return [Sql(f"case when starts_with({x}, '\"') then {x}->>'$' else nullif({x}, 'null') end")]
        if kind in (ColumnType.int64, ColumnType.double, ColumnType.boolean, ColumnType.date):
            return [Sql(f"({x})::{_DUCK[kind]}")]
        return [Sql(x)]

    def texts(self, row: Any, columns: Sequence[Column], spec: PlanSpec) -> list[str]:
        """Times in UTC, lists as JSON, nothing for null: a parquet file holds values, and no texts of them."""
        return [_shown(value, column.type) for value, column in zip(row.values(), columns, strict=True)]

    def frame(self, spec: PlanSpec) -> Frame:
        footer = _footer(datasets.get(spec.dataset).selected(spec, self.name))
        return Frame(MAGIC, b"", dumps(footer), MAGIC + _end(footer))

    def ending(self, tail: bytes, notes: Sequence[bytes]) -> bytes:
        footer, rows, offset = loads(tail), 0, len(MAGIC)
        groups: list[Struct] = []
        for note in notes:
            noted = loads(note)
            for group in noted.get(1).values:
                _move(group, offset - len(MAGIC))
                groups.append(group.put(7, I16, len(groups)) if len(groups) < 1 << 15 else group)
                rows += group.get(3)
            offset += noted.get(2)
        footer.put(3, I64, rows).put(4, LIST, Items(STRUCT, groups))
        return _end(footer)


def _shown(value: Any, kind: ColumnType) -> str:
    if value is None:
        return ""
    if kind is ColumnType.timestamp:
        return (_EPOCH + timedelta(milliseconds=value)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return value if isinstance(value, str) else str(value) if isinstance(value, date) else json.dumps(value, ensure_ascii=False)


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DUCK = {ColumnType.int64: "bigint", ColumnType.double: "double", ColumnType.boolean: "boolean", ColumnType.date: "date"}


def note(footer: bytes, size: int, nulls: Sequence[Mapping[str, int]]) -> bytes:
    """What is noted of a part of `size` bytes: the row groups of the footer that it would have as a file of its own.

    Numbers, dates and times keep their least and greatest value; of texts only the `nulls` are counted (by group and column), because notes travel through topics.
    """
    groups = loads(footer).get(4)
    for group, missing in zip(groups.values, nulls, strict=True):
        for column in group.get(1).values:
            meta, statistics = column.get(3), column.get(3).get(12)
            if meta.get(1) == _BYTE_ARRAY:
                path = meta.get(3).values
                if len(path) == 1:
                    meta.put(12, STRUCT, Struct().put(3, I64, missing[path[0].decode()]))
                elif statistics is not None:
                    meta.put(12, STRUCT, Struct({3: statistics.fields[3]} if 3 in statistics.fields else {}))
    return dumps(Struct().put(1, LIST, groups).put(2, I64, size))


def _move(group: Struct, by: int) -> None:
    """The row group's offsets, where it begins `by` bytes further behind."""
    for holder, numbers in [(group, (5,)), *((c, (2,)) for c in group.get(1).values), *((c.get(3), _OFFSETS) for c in group.get(1).values)]:
        for number in numbers:
            if holder.get(number):
                holder.put(number, I64, holder.get(number) + by)


def _end(footer: Struct) -> bytes:
    data = dumps(footer)
    return data + len(data).to_bytes(4, "little") + MAGIC


def _footer(columns: Sequence[Column]) -> Struct:
    """FileMetaData without rows."""
    root = Struct().put(3, I32, _REQUIRED).put(4, BINARY, b"schema").put(5, I32, len(columns))
    elements = [root, *(element for column in columns for element in _elements(column))]
    orders = [Struct().put(1, STRUCT, Struct()) for _ in columns]
    return (
        Struct().put(1, I32, 2).put(2, LIST, Items(STRUCT, elements)).put(3, I64, 0).put(4, LIST, Items(STRUCT, []))
        .put(6, BINARY, _CREATED_BY).put(7, LIST, Items(STRUCT, orders))
    )  # fmt: skip


def _elements(column: Column) -> list[Struct]:
    """SchemaElements of a column: one, or the three levels of a list."""
    name, kind = column.key.encode(), column.type
    if kind is ColumnType.texts:
        outer = _element(name, None, _LIST, 3).put(5, I32, 1)
        middle = _element(b"list", None, None, None, _REPEATED).put(5, I32, 1)
        return [outer, middle, _element(b"element", _BYTE_ARRAY, _UTF8, 1)]
    if kind is ColumnType.timestamp:
        stamp = Struct().put(1, TRUE, True).put(2, STRUCT, Struct().put(1, STRUCT, Struct()))
        return [_element(name, _INT64, _MILLIS, 8, logical=stamp)]
    if kind is ColumnType.date:
        return [_element(name, _INT32, _DATE, 6)]
    if kind in _PHYSICAL:
        return [_element(name, _PHYSICAL[kind])]
    return [_element(name, _BYTE_ARRAY, _UTF8, 1)]


_PHYSICAL = {ColumnType.int64: _INT64, ColumnType.double: _DOUBLE, ColumnType.boolean: _BOOLEAN}


def _element(
    name: bytes, physical: int | None, converted: int | None = None, annotation: int | None = None, repetition: int = _OPTIONAL,
    logical: Struct | None = None,
) -> Struct:  # fmt: skip
    """`annotation`: which LogicalType; `logical` is what it says."""
    made = Struct().put(3, I32, repetition).put(4, BINARY, name)
    if physical is not None:
        made.put(1, I32, physical)
    if converted is not None:
        made.put(6, I32, converted)
    if annotation is not None:
        made.put(10, STRUCT, Struct().put(annotation, STRUCT, logical or Struct()))
    return made


FORMAT = Parquet()
