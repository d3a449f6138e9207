"""pdf: a report for people, with summary, charts and the table.

A part is the whole file, typeset from the chunk's rows (shared/formatting/typesetting.py).
"""

import json
from collections.abc import Sequence
from typing import Any

from shared.datasets import registry as datasets
from shared.datasets.plan import Column, PlanSpec
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

    def texts(self, row: Any, columns: Sequence[Column], spec: PlanSpec) -> list[str]:
        """The values that the report shows, not as its language writes them."""
        return ["" if each is None else each if isinstance(each, str) else json.dumps(each) for each in json.loads(row)]

    def finish(self, line: str) -> str:
        return f"lower_escapes({line})"

    def frame(self, spec: PlanSpec) -> Frame:
        return Frame(b"", b"", b"", b"")


FORMAT = Pdf()
