"""Parquet files of the example records hold what the csv files say, typed."""

import io
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow.parquet as pq
import pytest

from shared.datasets import registry
from shared.datasets.plan import Column, ColumnType, PlanSpec
from tests.integration.engine.conftest import CASES, Exporter
from tests.integration.engine.test_workbooks import read_csv

HERE = [
    c for c in CASES["cases"]
    if c["file"].endswith(".csv") and c["request"]["dataset"] in registry.names() and "parquet" in registry.get(c["request"]["dataset"]).formats
]  # fmt: skip


@pytest.mark.parametrize("rows_max", [30, 100_000])
@pytest.mark.parametrize("case", HERE, ids=[c["file"] for c in HERE])
async def test_values_are_those_of_the_csv(exporter: Exporter, case: dict[str, Any], rows_max: int) -> None:
    request = {k: v for k, v in case["request"].items() if k != "format"} | {"formats": ["csv", "parquet"], "spreadsheet_safe": False}
    spec = exporter.spec(request)
    made = await exporter.export(spec, exporter.snapshot(), rows_max)
    columns = registry.get(spec.dataset).selected(spec, "parquet")
    table = pq.read_table(io.BytesIO(made.files["parquet"]))
    assert table.column_names == [c.key for c in columns]
    rows = [[text(v, c, spec) for v, c in zip(row.values(), columns, strict=True)] for row in table.to_pylist()]
    assert rows == read_csv(made.files["csv"])[1:]
    assert pq.ParquetFile(io.BytesIO(made.files["parquet"])).metadata.num_row_groups == len(made.planned)


def text(value: Any, column: Column, spec: PlanSpec) -> str:
    """A value as csv writes it."""
    if value is None or value == []:
        return ""
    if isinstance(value, list):
        return ",".join(value)
    if isinstance(value, datetime):
        assert column.type is ColumnType.timestamp
        if registry.get(spec.dataset).family == "leads":
            return value.strftime("%Y-%m-%dT%H:%M:%SZ")
        return value.astimezone(ZoneInfo(spec.timezone)).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
    return str(value)
