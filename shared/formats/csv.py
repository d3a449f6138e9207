"""csv: RFC 4180 with a byte order mark, text quoted, numbers, booleans and timestamps bare, and a formula guard."""

from shared.datasets import registry as datasets
from shared.datasets.plan import ColumnType, PlanSpec
from shared.formats.base import BARE, Cell, Format, Frame, Piece, Sql, timestamp_text

BOM = b"\xef\xbb\xbf"


class Csv(Format):
    name = "csv"
    extension = "csv"
    media_type = "text/csv; charset=utf-8"
    closing = "\r\n"

    def cell(self, cell: Cell, spec: PlanSpec) -> list[Piece]:
        text = "csv_guarded" if spec.spreadsheet_safe else "csv_plain"
        kind = cell.column.type
        if kind in BARE:
            return [Sql(f"({cell.sql})::varchar")]
        if kind is ColumnType.timestamp:
            return [Sql(timestamp_text(cell.sql, datasets.get(spec.dataset).family))]
        if kind is ColumnType.texts:
            return [Sql(f"{text}(joined({cell.sql}))")]
        if kind is ColumnType.property:
            return [Sql(f"case when starts_with({cell.sql}, '\"') then {text}({cell.sql}->>'$') else nullif({cell.sql}, 'null') end")]
        return [Sql(f"{text}({cell.sql})")]

    def frame(self, spec: PlanSpec) -> Frame:
        columns = datasets.get(spec.dataset).selected(spec, self.name)
        header = ",".join('"' + c.header.replace('"', '""') + '"' for c in columns)
        head = BOM + header.encode() + b"\r\n"
        return Frame(head, b"", b"", head)


FORMAT = Csv()
