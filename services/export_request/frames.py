"""What goes around a file's parts: the format's frame, compressed as members of its own where the file is."""

from typing import Any

from shared.formats.base import Frame
from shared.formats.compression import compress

from shared.datasets.plan import PlanSpec
from shared.formats import registry as formats


def format_of(name: str) -> Any:
    """The format called `name`: its extension and media type."""
    return formats.get(name)


def frame_of(spec: PlanSpec, name: str) -> Frame:
    """Head, separator, tail and empty file of a format under a spec, as they lie in the file."""
    frame = formats.get(name).frame(spec)
    if spec.compression == "none":
        return frame
    return Frame(*(compress(piece, spec.compression) if piece else b"" for piece in (frame.head, frame.separator, frame.tail, frame.empty)))
