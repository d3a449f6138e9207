"""jsonl: the objects of json, a line feed after each."""

from shared.datasets.plan import PlanSpec
from shared.formats.base import Frame
from shared.formats.json import Json


class Jsonl(Json):
    name = "jsonl"
    extension = "jsonl"
    media_type = "application/jsonl"
    closing, row_separator = "}\n", ""

    def frame(self, spec: PlanSpec) -> Frame:
        return Frame(b"", b"", b"", b"")


FORMAT = Jsonl()
