"""txt: transcripts, a blank line between two."""

from collections.abc import Sequence
from typing import Any

from shared.datasets import deleted
from shared.datasets.plan import Column, PlanSpec
from shared.formats.base import Cell, Format, Frame, Piece, Sql


class Txt(Format):
    name = "txt"
    extension = "txt"
    media_type = "text/plain; charset=utf-8"
    closing, row_separator = "", "\n"

    def cell(self, cell: Cell, spec: PlanSpec) -> list[Piece]:
        return [Sql(cell.sql)]

    def texts(self, row: Any, columns: Sequence[Column], spec: PlanSpec) -> list[str]:
        return [row.removesuffix(self.row_separator)]

    def frame(self, spec: PlanSpec) -> Frame:
        # A transcript ends its last line itself, a deletion's line doesn't.
        return Frame(b"", b"\n", b"\n" if spec.dataset.startswith(deleted.PREFIX) else b"", b"")


FORMAT = Txt()
