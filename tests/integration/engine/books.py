"""Workbooks as readers that we didn't write have them, compared with the oracle's rows."""

import io
from collections.abc import Iterator
from datetime import date, datetime, time
from typing import Any

import openpyxl
from openpyxl.utils.escape import unescape
from python_calamine import CalamineWorkbook

from tests.oracle.files import Row
from tests.oracle.values import Bare, Figure, json_text

Table = list[list[Any]]
_TIMES = ("%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%d %H:%M:%S.%f", "%Y-%m-%d")


def by_openpyxl(content: bytes) -> dict[str, Table]:
    """Every sheet by its name; each begins with a bold, frozen header under a filter."""
    book = openpyxl.load_workbook(io.BytesIO(content))
    tables = {}
    for sheet in book.worksheets:
        assert sheet.freeze_panes == "A2"
        assert all(cell.font.bold for cell in sheet[1])
        assert sheet.auto_filter.ref == sheet.dimensions
        assert not any(cell.data_type == "f" for row in sheet.iter_rows() for cell in row)
        tables[sheet.title] = [[unescape(v) if isinstance(v, str) else v for v in row] for row in sheet.iter_rows(values_only=True)]
    return tables


def by_calamine(content: bytes) -> dict[str, Table]:
    """A sheet's empty last rows and columns aren't told; the two characters that are none are left as they are written."""
    book = CalamineWorkbook.from_filelike(io.BytesIO(content))
    tables = {name: book.get_sheet_by_name(name).to_python(skip_empty_area=False) for name in book.sheet_names}
    return {name: [[_non_characters(v) if isinstance(v, str) else v for v in row] for row in rows] for name, rows in tables.items()}


def _non_characters(text: str) -> str:
    return text.replace("_xFFFE_", "\ufffe").replace("_xFFFF_", "\uffff")


def differences(read: dict[str, Table], wanted: dict[str, tuple[list[str], list[Row]]]) -> Iterator[str]:
    """What a reader has that the oracle hasn't, and the other way round; a sheet without headers is one without rows."""
    if list(read) != list(wanted):
        yield f"sheets {list(read)}, not {list(wanted)}"
    for name, (headers, rows) in wanted.items():
        (header, *cells), count = read[name], len(rows)
        if headers and header != headers:
            yield f"{name}: headers {header}, not {headers}"
        cells += [[]] * (count - len(cells))
        if len(cells) != count:
            yield f"{name}: {len(cells)} rows, not {count}"
        for number, (row, want) in enumerate(zip(cells, rows, strict=False), 2):
            filled = [*row, *[None] * (len(want) - len(row))]
            for (key, value), cell in zip(want.items(), filled, strict=True):
                if not _same(cell, value):
                    yield f"{name} row {number}, {key}: {cell!r}, not {value!r}"


def _same(cell: Any, want: Any) -> bool:
    if want is None or want in ("", []):
        return cell in (None, "") or (want == [] and cell == "[]")
    if isinstance(want, Bare):
        if type(cell) is date:  # calamine takes midnight for a date
            cell = datetime.combine(cell, time())
        texts = {cell[:]} if isinstance(cell, str) else {_written(cell, form) for form in _TIMES} if isinstance(cell, datetime) else set()
        return want.text in texts
    if isinstance(want, bool) or isinstance(cell, bool):
        return cell is want
    if isinstance(want, Figure | int | float):
        return isinstance(cell, int | float) and float(cell) == float(want.text if isinstance(want, Figure) else want)
    if isinstance(want, list | dict):
        texts = {json_text(want)}  # of a profile, else of a list of texts
        if all(isinstance(each, str) for each in want) and isinstance(want, list):
            texts.add(",".join(want))
        return cell in texts
    return bool(cell == want)


def _written(at: datetime, form: str) -> str:
    return at.strftime(form)[:-3] if form.endswith("%f") else at.strftime(form)
