"""Spark reads Parquet files of every dataset, and values of every type, as pyarrow does: whole, in pieces, and by what the row groups say of themselves."""

import io
from collections.abc import Iterable
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from shared.datasets import registry
from shared.formats.parquet import FORMAT
from tests import spark
from tests.integration.engine.conftest import Exporter
from tests.unit.formatting.test_row_groups import file, made, shown

TYPES = {
    "string": "string", "int64": "bigint", "double": "double", "bool": "boolean", "date32[day]": "date", "timestamp[ms, tz=UTC]": "timestamp",
    "list<element: string>": "array<string>",
}  # fmt: skip
ORDERED = {"bigint", "double", "date", "timestamp"}
DATASETS = [registry.get(name) for name in registry.names() if "parquet" in registry.get(name).formats]
RANGE = {"timezone": "Europe/Brussels", "from": "2026-01-01", "to": "2026-07-01"}
ROWS: list[tuple[Any, ...]] = [
    ("a", 1, 0.5, True, date(2026, 3, 1), 1_773_566_561_123, ["x", "y"], "p"),
    ("", -(2**63), float("-inf"), False, date(1, 1, 1), -62_135_596_800_000, [], ""),
    (None,) * 8,
    ("\0\x07\u202e\r\n\u2028😀'\"\\", 2**63 - 1, 1.7976931348623157e308, None, date(9999, 12, 31), 253_402_300_799_999, ["", "\0,", "\ufeff"], "=1+1"),
    ("e\u0301 null", 2**53 + 1, 5e-324, True, date(1582, 10, 10), -2_208_988_800_001, ["null", "[]"], '"quoted"'),
    ("\uffff\U0010ffff", 0, -0.0, False, date(1969, 12, 31), -1, ["a,b"] * 3, "null"),
]  # fmt: skip


def ends(values: Iterable[Any]) -> tuple[int, int]:
    """How many are the least, and how many the greatest."""
    there = [value for value in values if value is not None]
    return (there.count(min(there)), there.count(max(there))) if there else (0, 0)


def agree(found: spark.Table, content: bytes) -> None:
    """Types, rows in their order, and what is found by statistics."""
    table = pq.read_table(io.BytesIO(content))
    assert list(found.columns.items()) == [(f.name, TYPES[str(f.type)]) for f in table.schema]
    assert found.rows == table.to_pylist()
    assert found.found == {name: ends(table[name].to_pylist()) for name in found.found}
    assert found.missing == {name: table[name].null_count for name in found.missing}
    assert {found.columns[name] for name in found.missing} == {found.columns[name] for name in table.column_names if table[name].null_count}
    assert {found.columns[name] for name in found.found} == ORDERED & set(found.columns.values())


async def test_every_dataset_and_values_of_every_type_are_read(exporter: Exporter, tmp_path: Path) -> None:
    """In row groups of a few rows, and pieces of a file that hold several, one or none of them; and a file without rows. At once: Spark takes long to start."""
    specs = [exporter.spec({"dataset": d.name, "format": "parquet", **({} if d.range_rule == "refused" else RANGE)}) for d in DATASETS]
    exported = [await exporter.export(spec, exporter.snapshot(), rows_max=20) for spec in specs]
    parts = [ROWS[:1], ROWS[1:3], ROWS, ROWS[2:3]]
    typed = file([made(rows, len(rows)) for rows in parts])
    files = [*(each.files["parquet"] for each in exported), FORMAT.frame(specs[0]).empty, typed]
    found = spark.tables(tmp_path, *files)
    for table, content in zip(found, files, strict=True):
        agree(table, content)
    *read, empty, values = found
    for table, each, spec in zip(read, exported, specs, strict=True):
        assert list(table.columns) == [c.key for c in registry.get(spec.dataset).selected(spec, "parquet")]
        assert len(table.rows) == sum(rows for rows, _ in each.planned)
    assert sum(len(each.planned) > 1 for each in exported) > len(exported) / 2
    assert sum(table.pieces > 1 for table in read) > len(read) / 2
    assert (list(empty.columns), empty.rows) == (list(read[0].columns), [])
    assert set(values.columns.values()) == set(TYPES.values())
    assert [tuple(row.values()) for row in values.rows] == [row for rows in parts for row in shown(rows)]
