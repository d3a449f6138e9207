"""json: an array of compact objects, one a line; of a workbook, an object with such an array for each sheet."""

import json
from collections.abc import Sequence
from typing import Any

from shared.datasets import registry as datasets
from shared.datasets.plan import Column, ColumnType, PlanSpec
from shared.datasets.workbooks import Workbook
from shared.formats.base import BARE, Cell, Fixed, Format, Frame, Piece, Sql, timestamp_text

_DECODER = json.JSONDecoder()


class Json(Format):
    name = "json"
    extension = "json"
    media_type = "application/json"
    opening, closing, row_separator = "{", "}", ",\n"
    looks_at_texts = True

    def cell(self, cell: Cell, spec: PlanSpec) -> list[Piece]:
        key = quoted(cell.column.key) + ":"
        if cell.quiet and cell.column.type is ColumnType.text:
            if cell.quiet.full and cell.quiet.unquoted:
                return [Fixed(key + '"'), Sql(cell.sql), Fixed('"')]
            return [Fixed(key), Sql(f"json_quiet({cell.sql})")]
        return [Fixed(key), Sql(value(cell, datasets.get(spec.dataset).family))]

    def texts(self, row: Any, columns: Sequence[Column], spec: PlanSpec) -> list[str]:
        """Each value as it is written: a text stands in quotation marks, nothing is null."""
        found, at = [], len(self.opening)
        for column in columns:
            start = at + len(quoted(column.key)) + 1
            _, at = _DECODER.raw_decode(row, start)
            found.append(row[start:at])
            at += len(self.comma)
        return found

    def finish(self, line: str) -> str:
        return f"lower_escapes({line})"

    def frame(self, spec: PlanSpec) -> Frame:
        dataset = datasets.get(spec.dataset)
        if isinstance(dataset, Workbook):  # one object, the sheets' names as keys
            sheets = b"".join(self.sheet(*named, i == 0).empty for i, named in enumerate(dataset.sheet_columns().items()))
            return Frame(b"{\n", b"", b"\n}\n", b"{\n" + sheets + b"\n}\n")
        return Frame(b"[\n", b",\n", b"\n]\n", b"[]\n")

    def sheet(self, name: str, columns: Sequence[Column], first: bool) -> Frame:
        key = f"{'' if first else self.row_separator}{quoted(name)}:".encode()
        return Frame(key + b"[\n", b"", b"\n]", key + b"[]")


def value(cell: Cell, family: str) -> str:
    """The expression of a cell's value as JSON."""
    kind = cell.column.type
    if kind is ColumnType.date:
        return f"""coalesce('"' || ({cell.sql})::varchar || '"', 'null')"""
    if kind in BARE:
        return f"coalesce(({cell.sql})::varchar, 'null')"
    if kind is ColumnType.timestamp:
        return f"""coalesce('"' || {timestamp_text(cell.sql, family)} || '"', 'null')"""
    if kind is ColumnType.texts:
        return f"json_texts({cell.sql})"
    if kind in (ColumnType.json, ColumnType.property):
        return f"coalesce({cell.sql}, 'null')"
    return f"json_text({cell.sql})"


_ESCAPES = {ord('"'): '\\"', ord("\\"): "\\\\", 8: "\\b", 9: "\\t", 10: "\\n", 12: "\\f", 13: "\\r"}
_CONTROL = {code: f"\\u{code:04x}" for code in range(0x20)}


def quoted(text: str) -> str:
    """`text` as a JSON string: only what JSON must escape is escaped."""
    return '"' + text.translate({**_CONTROL, **_ESCAPES}) + '"'


FORMAT = Json()
