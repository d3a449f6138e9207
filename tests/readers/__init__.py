"""What a file of each format holds, read by programs that we didn't write: a table a sheet, rows of values."""

import csv
import io
import json
from collections.abc import Callable
from datetime import date, datetime
from typing import Any

import openpyxl
import pyarrow.parquet as pq

# (name of the sheet or None, rows)
Tables = list[tuple[str | None, list[list[Any]]]]


def tables(fmt: str, content: bytes) -> Tables:
    """Every table of an unpacked file, without headers."""
    return READERS[fmt](content)


def _csv(content: bytes) -> Tables:
    csv.field_size_limit(1 << 30)
    return [(None, list(csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""), strict=True))[1:])]


def _jsonl(content: bytes) -> Tables:
    return [(None, [list(json.loads(line).values()) for line in content.decode().split("\n") if line])]


def _json(content: bytes) -> Tables:
    """An array of objects; of a workbook an object of such arrays."""
    found = json.loads(content)
    sheets = found.items() if isinstance(found, dict) else [(None, found)]
    return [(name, [list(row.values()) for row in rows]) for name, rows in sheets]


def _xlsx(content: bytes) -> Tables:
    book = openpyxl.load_workbook(io.BytesIO(content))
    named = [sheet.title for sheet in book] if len(book.sheetnames) > 1 else [None]
    rows = [[[_unescaped(v) for v in row] for row in sheet.iter_rows(min_row=2, values_only=True)] for sheet in book]
    return list(zip(named, rows, strict=True))


def _unescaped(value: Any) -> Any:
    return openpyxl.utils.escape.unescape(value) if isinstance(value, str) else value


def _parquet(content: bytes) -> Tables:
    return [(None, [list(row.values()) for row in pq.read_table(io.BytesIO(content)).to_pylist()])]


def _txt(content: bytes) -> Tables:
    """Transcripts are separated by a blank line, and no transcript holds one."""
    text = content.decode()
    return [(None, [[f"{each}\n"] for each in text.removesuffix("\n").split("\n\n")] if text else [])]


READERS: dict[str, Callable[[bytes], Tables]] = {
    "csv": _csv, "jsonl": _jsonl, "json": _json, "xlsx": _xlsx, "parquet": _parquet, "txt": _txt,
}  # fmt: skip


def same(fmt: str, shown: str, value: Any) -> bool:
    """Whether a text that a preview shows is what a file's reader gives."""
    if fmt in ("json", "jsonl"):
        return bool(json.loads(shown) == value)
    if fmt == "xlsx" and isinstance(value, float | int) and not isinstance(value, bool):
        return float(shown) == float(value)
    return shown == _text(fmt, value)


def _text(fmt: str, value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).upper() if fmt == "xlsx" else str(value).lower()
    if isinstance(value, datetime):
        return value.isoformat(timespec="milliseconds").replace("+00:00", "Z") if fmt == "parquet" else str(value)
    if isinstance(value, date | str):
        return str(value)
    return json.dumps(value, ensure_ascii=False)
