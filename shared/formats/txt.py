"""txt: transcripts, a blank line between two."""

from shared.datasets.plan import PlanSpec
from shared.formats.base import Cell, Format, Frame, Piece, Sql


class Txt(Format):
    name = "txt"
    extension = "txt"
    media_type = "text/plain; charset=utf-8"
    closing, row_separator = "", "\n"

    def cell(self, cell: Cell, spec: PlanSpec) -> list[Piece]:
        return [Sql(cell.sql)]

    def frame(self, spec: PlanSpec) -> Frame:
        return Frame(b"", b"\n", b"", b"")


FORMAT = Txt()
