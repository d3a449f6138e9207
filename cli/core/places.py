"""From a line of a body back to the file and line that it came from."""

from bisect import bisect_right
from dataclasses import dataclass


@dataclass(frozen=True)
class Block:
    """Whole lines of one file, each ended by LF. `first_line` counts from 1 in the file."""

    file: str
    first_line: int
    lines: int
    data: bytes


@dataclass(frozen=True)
class Refused:
    """A record that wasn't taken. `line` counts from 1 in `file`."""

    file: str
    line: int
    code: str
    field: str
    message: str


def place_of(blocks: list[Block], line: int) -> tuple[str, int]:
    """File and line of line `line` (from 1) of a body that is `blocks` one after the other.

    A line beyond the end counts on in the last file.
    """
    starts, total = [], 0
    for block in blocks:
        starts.append(total)
        total += block.lines
    index = max(0, bisect_right(starts, line - 1) - 1)
    return blocks[index].file, blocks[index].first_line + line - 1 - starts[index]
