"""What goes around a file's parts: the format's frame, compressed as members of its own where the file is."""

from shared.datasets.plan import PlanSpec
from shared.formats import registry as formats
from shared.formats.base import Frame
from shared.formats.compression import compress, compressor


def frame_of(spec: PlanSpec, name: str) -> Frame:
    """Head, separator, tail and empty file of a format under a spec, as they lie in the file."""
    frame, kind = formats.get(name).frame(spec), formats.get(name).compression(spec)
    return Frame(compress(kind, frame.head), compress(kind, frame.separator), compress(kind, frame.tail), _whole(kind, frame.empty))


def _whole(compression: str, data: bytes) -> bytes:
    """A file of its own: also of nothing, a reader wants a member."""
    member = compressor(compression)
    return bytes(member.compress(data)) + member.flush()
