"""Parquet parts of any values, joined to files that pyarrow, DuckDB and pandas read."""

import io
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pandas
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from shared.datasets import registry
from shared.datasets.plan import Column, ColumnType, PlanSpec
from shared.formats import macros, parquet, thrift
from shared.formats.base import Cell, Sql
from shared.formats.parquet import FORMAT, MAGIC
from shared.formatting.coding import Numbers
from shared.formatting.parts import TypedPart

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def encoders() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        connection.execute(macros.encoders()).execute(macros.local_time("UTC", (2400, 2400)))
        yield connection


KINDS: dict[ColumnType, tuple[Any, Any]] = {
    ColumnType.text: (pa.large_string(), st.text(st.characters(codec="utf-8"), max_size=20)),
    ColumnType.int64: (pa.int64(), st.integers(-(2**63), 2**63 - 1)),
    ColumnType.double: (pa.float64(), st.floats(allow_nan=False)),
    ColumnType.boolean: (pa.bool_(), st.booleans()),
    ColumnType.date: (pa.date32(), st.dates()),
    ColumnType.timestamp: (pa.int64(), st.integers(-(2**45), 2**45)),
    ColumnType.texts: (pa.large_list(pa.large_string()), st.lists(st.text(st.characters(codec="utf-8"), max_size=5), max_size=3)),
    ColumnType.property: (pa.large_string(), st.text(st.characters(codec="utf-8"), max_size=5)),
}
COLUMNS = [Column(f"{kind.name} column", "", kind, "", "") for kind in KINDS]
ROWS = st.lists(st.tuples(*(st.one_of(st.none(), values) for _, values in KINDS.values())), min_size=1, max_size=12)


class Buffer(bytearray):
    def write(self, data: bytes | memoryview, /) -> None:
        self.extend(data)


def made(rows: list[tuple[Any, ...]], batch: int, columns: list[Column] = COLUMNS, kinds: Any = KINDS) -> tuple[bytes, bytes]:
    """A part and its note."""
    sink = Buffer()
    part = TypedPart(sink, columns)
    for start in range(0, len(rows), batch):
        some = rows[start : start + batch]
        arrays = [pa.array([row[i] for row in some], kind) for i, (kind, _) in enumerate(kinds.values())]
        part.take(pa.StructArray.from_arrays(arrays, [f"c{i}" for i in range(len(arrays))]))
    result = part.finish(len(rows), "", "")
    assert result.bytes == len(sink)
    return bytes(sink), result.note or b""


def file(parts: list[tuple[bytes, bytes]], columns: list[Column] = COLUMNS) -> bytes:
    tail = thrift.dumps(parquet._footer(columns))
    return MAGIC + b"".join(data for data, _ in parts) + FORMAT.ending(tail, [note for _, note in parts])


def shown(rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    place = list(KINDS).index(ColumnType.timestamp)
    return [(*r[:place], None if r[place] is None else EPOCH + timedelta(milliseconds=r[place]), *r[place + 1 :]) for r in rows]


@settings(max_examples=40, deadline=None)
@given(st.lists(ROWS, min_size=1, max_size=4), st.integers(1, 12))
def test_parts_make_one_file_that_reads_back(parts: list[list[tuple[Any, ...]]], batch: int) -> None:
    content = file([made(rows, batch) for rows in parts])
    table = pq.read_table(io.BytesIO(content))
    assert [tuple(row.values()) for row in table.to_pylist()] == shown([row for rows in parts for row in rows])
    assert [str(f.type) for f in table.schema] == [
        "string", "int64", "double", "bool", "date32[day]", "timestamp[ms, tz=UTC]", "list<element: string>", "string",
    ]  # fmt: skip
    assert content == file([made(rows, 12) for rows in parts])


def test_pandas_and_duckdb_read_it_and_numbers_have_statistics(tmp_path: Path) -> None:
    rows = [("a", 1, 0.5, True, date(2026, 3, 1), 1_773_566_561_123, ["x", "y"], "p"), ("b", 9, 1.5, False, date(2026, 4, 1), 0, [], None)]
    (tmp_path / "x.parquet").write_bytes(file([made(rows, 1), made(rows[:1], 1), made(rows, 2)]))
    path = str(tmp_path / "x.parquet")
    frame = pandas.read_parquet(path)
    assert list(frame["int64 column"]) == [1, 9, 1, 1, 9]
    assert str(frame["timestamp column"][0]) == "2026-03-15 09:22:41.123000+00:00"
    assert duckdb.sql(f'select sum("int64 column"), max(len("texts column")) from \'{path}\'').fetchall() == [(21, 2)]
    meta = pq.ParquetFile(path).metadata
    assert (meta.num_rows, meta.num_row_groups, meta.created_by) == (5, 3, "waybill version 1 (build 1)")
    text, number = (meta.row_group(0).column(i).statistics for i in (0, 1))
    assert (number.min, number.max) == (1, 9)
    assert not text.has_min_max
    assert (text.null_count, meta.row_group(0).column(7).statistics.null_count) == (0, 1)


def test_a_note_holds_no_text_of_a_row() -> None:
    rows = [("a planted text", 1, 0.5, True, date(2026, 3, 1), 0, ["planted too"], "and planted")]
    assert b"planted" not in made(rows, 1)[1]


def test_the_size_of_batches_makes_no_difference() -> None:
    rows = [(f"text {i % 700} {i}", i, i / 7, None, None, i, [str(i)] * (i % 3), None) for i in range(20_000)]
    whole = made(rows, 20_000)
    assert made(rows, 2_048) == made(rows, 777) == whole
    assert pq.read_table(io.BytesIO(file([whole]))).num_rows == 20_000


@pytest.mark.parametrize("dataset", ["leads", "messages"])
def test_an_empty_file_has_its_columns(dataset: str) -> None:
    found = registry.get(dataset)
    columns = found.resolve_columns(None, ["parquet"])
    frame = FORMAT.frame(PlanSpec(dataset=dataset, formats=["parquet"], columns=columns))
    table = pq.read_table(io.BytesIO(frame.empty))
    assert table.column_names == columns["parquet"]
    assert table.num_rows == 0


@given(st.lists(st.integers(-(2**63), 2**63 - 1), max_size=20), st.binary(max_size=300), st.booleans(), st.integers(1, 400))
def test_thrift_survives_a_round_trip(numbers: list[int], data: bytes, flag: bool, field: int) -> None:
    inner = thrift.Struct().put(1, thrift.TRUE, flag).put(field + 1, thrift.BINARY, data)
    value = thrift.Struct().put(2, thrift.LIST, thrift.Items(thrift.I64, numbers)).put(field + 2, thrift.STRUCT, inner)
    value.put(field + 3, thrift.LIST, thrift.Items(thrift.TRUE, [flag, not flag])).put(field + 40, thrift.DOUBLE, 0.5)
    assert thrift.loads(thrift.dumps(value)) == value


def test_columns_that_lie_elsewhere_are_written_where_they_belong() -> None:
    """One as it came with the facts, one by the rows of a dimension; of times what is finer than a millisecond is cut off, as texts show them."""
    columns = [
        Column(key, "", kind, "", "") for key, kind in [("id", ColumnType.text), ("at", ColumnType.timestamp), ("name", ColumnType.text)]
    ]
    instants = pa.chunked_array([pa.array([1_773_566_561_123_999, None, -1_500], pa.timestamp("us", "UTC"))])
    ids = pa.chunked_array([pa.array(["x", "y", None], pa.large_string())])
    sink = Buffer()
    part = TypedPart(sink, columns)
    keys = pa.array(["u2", None, "u2"], pa.large_string()).dictionary_encode()
    numbers = Numbers.of(keys, pa.array(["u2", "u1", ""], pa.large_string()))
    names = numbers.coded(pa.array(["Ada", "Eve", None], pa.large_string()))
    part.elsewhere({0: ids, 1: instants, 2: names})
    for rows in (2, 1):
        part.take(pa.StructArray.from_arrays([pa.nulls(rows)], ["_"]))
    result = part.finish(3, "", "")
    table = pq.read_table(io.BytesIO(file([(bytes(sink), result.note or b"")], columns)))
    assert table.to_pydict() == {
        "id": ["x", "y", None],
        "at": [EPOCH + timedelta(milliseconds=1_773_566_561_123), None, EPOCH - timedelta(milliseconds=2)],
        "name": ["Ada", None, "Ada"],
    }


@given(
    st.lists(
        st.one_of(st.none(), st.integers(-62_135_596_799_999_999, 253_402_300_799_999_999), st.integers(-2_000, 2_000)),
        min_size=1,
        max_size=6,
    )
)
@example([-1, -1_000, -1_001, -62_135_596_799_999_999])
def test_times_are_cut_as_texts_show_them(encoders: duckdb.DuckDBPyConnection, microseconds: list[int | None]) -> None:
    """Before 1970 too: a microsecond before it is 1969-12-31 23:59:59.999. As they come from PostgreSQL, and as DuckDB hands them on."""
    times = pa.table({"x": pa.array(microseconds, pa.timestamp("us", "UTC"))})
    column = Column("at", "", ColumnType.timestamp, "", "x")
    (cell,) = FORMAT.cell(Cell(column, "x"), PlanSpec(dataset="messages", formats=["parquet"], columns={}))
    assert isinstance(cell, Sql)
    made = encoders.execute(f"select {cell.sql} as cell, local_text(x) as text from times").to_arrow_table()
    texts = [text and text[-18:] for text in made["text"].to_pylist()]
    for values in (times["x"], made["cell"]):
        sink = Buffer()
        part = TypedPart(sink, [column])
        part.take(pa.StructArray.from_arrays([values.combine_chunks()], ["c0"]))
        result = part.finish(len(microseconds), "", "")
        table = pq.read_table(io.BytesIO(file([(bytes(sink), result.note or b"")], [column])))
        assert [at and f"{at:%m-%d %H:%M:%S}.{at.microsecond // 1000:03}" for at in table["at"].to_pylist()] == texts
