"""A file that is written in pieces under a temporary name: how far it is there, and where to go on.

Writes are under way several at once, but never further than `WINDOW_BYTES` behind the first one that the server hasn't confirmed. So whatever is
there, all but its last `WINDOW_BYTES` were confirmed, also where a server writes in another order than it was asked to.
"""

import hashlib
import json
from dataclasses import asdict, dataclass

WINDOW_BYTES = 4 << 20
NAME_BYTES_MAX = 255


@dataclass(frozen=True)
class Note:
    """What is kept of a file under way. `part`: the path of its temporary file; `window`: the writer's. `placing`: it is whole, and about to get its name."""

    part: str
    window: int = WINDOW_BYTES
    placing: bool = False

    @property
    def text(self) -> str:
        return json.dumps(asdict(self))


def read_note(text: str | None) -> Note | None:
    return Note(**json.loads(text)) if text else None


def start_at(note: Note | None, part: str, size_there: int | None, size: int) -> int | None:
    """From which byte on a file of `size` bytes is written; None: it begins anew, and what is there is cut off, as it isn't known to be ours."""
    if note is None or note.part != part or size_there is None or size_there > size:
        return None
    return max(0, size_there - note.window)


def part_name(name: str, delivery_id: str) -> str:
    """Hidden, ending as no file does that anybody waits for, and of this delivery alone."""
    tail = f".{delivery_id}.part"
    room = NAME_BYTES_MAX - 1 - len(tail)
    if len(name.encode()) <= room:
        return f".{name}{tail}"
    mark = hashlib.sha256(name.encode()).hexdigest()[:12]
    return f".{name.encode()[: room - len(mark) - 1].decode(errors='ignore')}~{mark}{tail}"


def pieces(length: int, piece_max: int) -> list[tuple[int, int]]:
    """(start, end) of as few pieces as will do, about equally long: none is a small rest."""
    count = -(-length // piece_max)
    return [(length * i // count, length * (i + 1) // count) for i in range(count)]
