"""How a file becomes an object: in one request, or in parts whose bounds follow from its size alone, so that another attempt has the same ones."""

import json
from dataclasses import dataclass

WHOLE_BYTES_MAX = 32 << 20  # up to here one request is enough; what fails is sent again from its beginning
PART_BYTES = 8 << 20  # a part is held in memory while it is sent
PARTS_MAX = 10_000
SIZE_MAX = PARTS_MAX * (64 << 20)  # so that no part takes more than 64 MiB of memory: 625 GiB
_STEP = 1 << 20


@dataclass(frozen=True)
class Part:
    number: int  # from 1
    start: int
    size: int


def part_bytes_of(size: int) -> int:
    """8 MiB, or as much more as it takes to need no more than 10,000 parts."""
    least = -(-size // PARTS_MAX)
    return max(PART_BYTES, -(-least // _STEP) * _STEP)


def parts_of(size: int) -> list[Part]:
    """All of a file's parts, in order, all of one size but the last."""
    each = part_bytes_of(size)
    return [Part(number, start, min(each, size - start)) for number, start in enumerate(range(0, size, each), 1)]


@dataclass(frozen=True)
class Note:
    """What the ledger keeps of an upload: its key, and its id as soon as there is one. Without: it was about to be begun."""

    key: str
    upload: str | None = None

    @property
    def text(self) -> str:
        return json.dumps({"key": self.key, "upload": self.upload})


def note_of(text: str | None) -> Note | None:
    if not text:
        return None
    kept = json.loads(text)
    return Note(kept["key"], kept["upload"])
