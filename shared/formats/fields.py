"""Rows as the JSON texts of their fields, side by side: what two instants are compared by, field by field. No file has this format."""

from shared.datasets import registry as datasets
from shared.datasets.plan import PlanSpec
from shared.formats.base import Cell, Format, Frame, Piece, Sql
from shared.formats.json import value


class Fields(Format):
    name = "fields"
    extension = ""
    media_type = ""
    closing = ""
    typed = True

    def cell(self, cell: Cell, spec: PlanSpec) -> list[Piece]:
        return [Sql(f"lower_escapes({value(cell, datasets.get(spec.dataset).family)})")]

    def frame(self, spec: PlanSpec) -> Frame:
        return Frame(b"", b"", b"", b"")


FIELDS = Fields()
