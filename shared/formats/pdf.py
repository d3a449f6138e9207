"""pdf: a report for people, with summary, charts and the table.

A part is the whole file, typeset from the chunk's rows (shared/formatting/typesetting.py).
"""

from shared.datasets import registry as datasets
from shared.datasets.plan import PlanSpec
from shared.formats.base import Cell, Format, Frame, Piece, Sql
from shared.formats.json import value


class Pdf(Format):
    """A row is a JSON array of its cells: what the report is made of, and never written itself."""

    name = "pdf"
    extension = "pdf"
    media_type = "application/pdf"
    opening, closing, row_separator = "[", "]", "\n"
    binary = True
    document = True

    def cell(self, cell: Cell, spec: PlanSpec) -> list[Piece]:
        return [Sql(value(cell, datasets.get(spec.dataset).family))]

    def finish(self, line: str) -> str:
        return f"lower_escapes({line})"

    def frame(self, spec: PlanSpec) -> Frame:
        return Frame(b"", b"", b"", b"")


FORMAT = Pdf()
