"""Workbooks of the example records: the values of the csv files, in cells of their kinds, for readers that we didn't write."""

import csv
import io
import json
import zipfile
from datetime import datetime, time
from typing import Any

import openpyxl
import psycopg
import pytest
from python_calamine import CalamineWorkbook

from shared.datasets import registry
from shared.datasets.plan import Column, ColumnType, PlanSpec
from shared.datasets.sql import session_sql
from shared.errors import PermanentError
from tests.integration.engine.conftest import CASES, EXAMPLES, Exporter
from tests.integration.engine.loader import load

HERE = [
    c for c in CASES["cases"]
    if c["file"].endswith(".csv") and c["request"]["dataset"] in registry.names() and "xlsx" in registry.get(c["request"]["dataset"]).formats
]  # fmt: skip


@pytest.mark.parametrize("rows_max", [30, 100_000])
@pytest.mark.parametrize("case", HERE, ids=[c["file"] for c in HERE])
async def test_cells_hold_what_the_csv_says(exporter: Exporter, case: dict[str, Any], rows_max: int) -> None:
    request = {k: v for k, v in case["request"].items() if k != "format"} | {"formats": ["csv", "xlsx"], "spreadsheet_safe": False}
    if longest(case["file"]) > 32_767:
        with pytest.raises(PermanentError) as caught:
            await exporter.export(exporter.spec(request), exporter.snapshot(), rows_max)
        assert caught.value.code == "cell_too_long"
        request["columns"] = [c.key for c in registry.get(request["dataset"]).columns() if c.key != "content"]
    spec = exporter.spec(request)
    made = await exporter.export(spec, exporter.snapshot(), rows_max)
    with zipfile.ZipFile(io.BytesIO(made.files["xlsx"])) as archive:
        assert archive.testzip() is None
    columns = registry.get(spec.dataset).selected(spec, "xlsx")
    header, *rows = read_csv(made.files["csv"])
    for sheet in (openpyxl_rows(made.files["xlsx"]), calamine_rows(made.files["xlsx"], len(rows) + 1, len(columns))):
        assert sheet[0] == header == [c.header for c in columns]
        assert [[shown(v, c, spec) for v, c in zip(row, columns, strict=True)] for row in sheet[1:]] == [
            [written(v, c) for v, c in zip(row, columns, strict=True)] for row in rows
        ]


async def test_a_list_that_no_cell_takes_is_refused_by_column_and_row(exporter: Exporter) -> None:
    """Each of its texts is short, and nothing in them needs care."""
    lead = {
        "type": "lead",
        "id": "lead_long",
        "data": {"email": "a@x.example", "created_at": "2026-03-01T00:00:00Z", "tags": ["x" * 40] * 1_000},
    }
    with psycopg.connect(exporter.database.url, autocommit=True) as connection:
        load(connection, "org_long", [json.dumps(lead)], {})
    long = Exporter(exporter.database, exporter.engine, "org_long")
    with pytest.raises(PermanentError, match="column 'tags' of row 'lead_long'") as caught:
        await long.export(long.spec({"dataset": "leads", "format": "xlsx"}), long.snapshot())
    assert caught.value.code == "cell_too_long"


def longest(file: str) -> int:
    return max(len(value) for row in read_csv((EXAMPLES / "files" / file).read_bytes()) for value in row)


def read_csv(content: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""), strict=True))


def openpyxl_rows(content: bytes) -> list[list[Any]]:
    sheet = openpyxl.load_workbook(io.BytesIO(content)).active
    assert sheet.freeze_panes == "A2"
    assert sheet["A1"].font.bold
    assert sheet.auto_filter.ref == sheet.dimensions
    assert not any(cell.data_type == "f" for row in sheet.iter_rows() for cell in row)
    return [[openpyxl.utils.escape.unescape(v) if isinstance(v, str) else v for v in row] for row in sheet.iter_rows(values_only=True)]


def calamine_rows(content: bytes, rows: int, columns: int) -> list[list[Any]]:
    """A sheet's empty last rows and columns aren't told: they are filled up."""
    found = CalamineWorkbook.from_filelike(io.BytesIO(content)).get_sheet_by_index(0).to_python(skip_empty_area=False)
    filled = [[None if v == "" else v for v in row] + [None] * (columns - len(row)) for row in found]
    return filled + [[None] * columns] * (rows - len(found))


def written(value: str, column: Column) -> str | None:
    """What csv says, but for a decimal's last noughts: a cell holds a number."""
    return None if value == "" else repr(float(value)) if column.type is ColumnType.double else value


def shown(value: Any, column: Column, spec: PlanSpec) -> str | None:
    """A cell's value as csv writes it; csv's reader takes an empty text for nothing."""
    if value is None or value == "":
        return None
    if column.type is ColumnType.timestamp:
        value = value if isinstance(value, datetime) else datetime.combine(value, time())  # calamine takes midnight for a date
        leads = registry.get(spec.dataset).family == "leads"
        return value.strftime("%Y-%m-%dT%H:%M:%SZ") if leads else value.strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
    if column.type is ColumnType.date:
        return value.strftime("%Y-%m-%d")
    if column.type is ColumnType.double:
        return repr(float(value))
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        assert column.type in (ColumnType.int64, ColumnType.property)
        return repr(int(value)) if value == int(value) else repr(value)
    return str(value)


async def test_the_plan_finds_what_no_cell_takes_by_row_and_column(exporter: Exporter) -> None:
    """In UTF-16 code units; the first of several; other formats and columns don't mind."""
    org, contents = "org_cells", ["a" * 32_767, "😀" * 16_383, "é" * 32_767, "😀" * 16_384, "b" * 40_000]
    lines = [
        json.dumps(
            {"type": "message", "id": f"m{n}", "data": {"conversation_id": "c", "created_at": f"2026-02-01T00:00:0{n}Z", "content": text}}
        )
        for n, text in enumerate(contents)
    ]
    with psycopg.connect(exporter.database.url) as connection:
        load(connection, org, lines, {})
    snapshot, messages = exporter.snapshot(), registry.get("messages")
    request = {"dataset": "messages", "from": "2026-01-01", "to": "2026-07-01"}
    for more, expected in (
        ({"formats": ["csv", "xlsx"]}, (True, (4, "Content", None))),
        ({"formats": ["csv", "jsonl"]}, (False, None)),
        ({"format": "xlsx", "columns": ["message_id"]}, (False, None)),
    ):
        spec = exporter.spec(request | more)
        with psycopg.connect(f"{exporter.database.url}?options=-c%20role%3Dwaybill_export_request") as connection:
            connection.execute(session_sql(org).encode())
            for bytes_max in (None, 1 << 30):
                found = connection.execute(messages.plan_query(spec, snapshot, None, 100, bytes_max).encode()).fetchone()
                assert found and (found[0], found[2]) == (5, expected[0])
            if expected[0]:
                assert connection.execute(messages.too_long(spec, snapshot, None, found[3]).encode()).fetchone() == expected[1]
