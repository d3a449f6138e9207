"""Rows to the bytes of a file (derivations.md, Encoding)."""

from collections.abc import Iterable
from typing import Any

from tests.oracle.values import BOM, csv_text, json_text, quoted

Row = dict[str, Any]  # by header (csv) or key (JSON), in order


def csv(headers: Iterable[str], rows: Iterable[Row], *, safe: bool) -> bytes:
    lines = [",".join(map(quoted, headers))]
    lines += [",".join(csv_text(cell, safe=safe) for cell in row.values()) for row in rows]
    return (BOM + "".join(line + "\r\n" for line in lines)).encode()


def jsonl(rows: Iterable[Row]) -> bytes:
    return "".join(json_text(row) + "\n" for row in rows).encode()


def array(rows: Iterable[Row]) -> str:
    """One compact object a line; without rows `[]`."""
    lines = ",\n".join(map(json_text, rows))
    return f"[\n{lines}\n]" if lines else "[]"


def json(rows: Iterable[Row]) -> bytes:
    return (array(rows) + "\n").encode()


def workbook(sheets: dict[str, list[Row]]) -> bytes:
    """One object, the sheets' names as keys in order."""
    return ("{\n" + ",\n".join(f"{json_text(name)}:{array(rows)}" for name, rows in sheets.items()) + "\n}\n").encode()
