"""csv: RFC 4180 with a byte order mark, text quoted, numbers, booleans and timestamps bare, and a formula guard."""

import re
from collections.abc import Sequence
from typing import Any

from shared.datasets import registry as datasets
from shared.datasets.plan import Column, ColumnType, PlanSpec
from shared.formats.base import BARE, Cell, Fixed, Format, Frame, Piece, Sql, concat, timestamp_text

_FIELD = re.compile(r"""(?:^|(?<=,))(?:"([^"]*(?:""[^"]*)*)"|([^",]*))(?:,|\Z)""")
BOM = b"\xef\xbb\xbf"


class Csv(Format):
    name = "csv"
    extension = "csv"
    media_type = "text/csv; charset=utf-8"
    closing = "\r\n"

    def cell(self, cell: Cell, spec: PlanSpec) -> list[Piece]:
        kind, guarded = cell.column.type, spec.spreadsheet_safe
        if cell.column.plain:
            return [Fixed('"'), Sql(cell.sql), Fixed('"')]
        if kind in BARE:
            return [Sql(f"({cell.sql})::varchar")]
        if kind is ColumnType.timestamp:
            return [Sql(timestamp_text(cell.sql, datasets.get(spec.dataset).family))]
        if kind is ColumnType.texts:
            return quoted(f"joined({cell.sql})", guarded)
        if kind is ColumnType.property:
            text = concat(quoted(f"({cell.sql}->>'$')", guarded))
            return [Sql(f"case when starts_with({cell.sql}, '\"') then {text} else nullif({cell.sql}, 'null') end")]
        return quoted(cell.sql, guarded)

    def texts(self, row: Any, columns: Sequence[Column], spec: PlanSpec) -> list[str]:
        """As a reader of CSV gives them: the guard is seen, quotation marks around a text aren't."""
        return [quoted.replace('""', '"') or bare for quoted, bare in _FIELD.findall(row.removesuffix(self.closing))]

    def frame(self, spec: PlanSpec) -> Frame:
        columns = datasets.get(spec.dataset).selected(spec, self.name)
        header = ",".join('"' + c.header.replace('"', '""') + '"' for c in columns)
        head = BOM + header.encode() + b"\r\n"
        return Frame(head, b"", b"", head)


def quoted(sql: str, guarded: bool) -> list[Piece]:
    """A text between quotation marks, nothing for null. In pieces, so that the text itself is copied once, into the line."""
    mark = Sql(f"csv_mark({sql})")
    return [mark, Sql(f"{'csv_guarded' if guarded else 'csv_plain'}({sql})"), mark]


FORMAT = Csv()
