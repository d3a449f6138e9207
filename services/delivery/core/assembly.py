"""How parts become a file: head + part (separator part)* + tail, or `empty` when no part holds a row."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from shared.messages import AssemblyPart

TURN_BYTES_MAX = 64 << 20
TURN_PARTS_MAX = 256


@dataclass(frozen=True)
class FileId:
    """One file of an export; files of a format are numbered from 1."""

    export_id: str
    format: str
    number: int


@dataclass(frozen=True)
class Layout:
    """The bytes around the parts, compressed where the file is. Of a binary format, what ends the file is made of `tail` and the parts."""

    head: bytes
    separator: bytes
    tail: bytes
    empty: bytes


@dataclass(frozen=True)
class Progress:
    """How far a file is: the next part's number, and the rows so far (none: nothing of the file is written yet)."""

    next_number: int = 1
    rows: int = 0


@dataclass(frozen=True)
class Append:
    """Write these bytes."""

    data: bytes


@dataclass(frozen=True)
class Compose:
    """Append this part's bytes, which lie in the store."""

    part: AssemblyPart


Step = Append | Compose


def add_part(progress: Progress, layout: Layout, part: AssemblyPart) -> tuple[tuple[Step, ...], Progress]:
    """What to do with the next part. A part without rows adds nothing. Raises ValueError where the part is not the next one."""
    if part.number != progress.next_number:
        raise ValueError(f"part {part.number} comes where part {progress.next_number} belongs")
    after = replace(progress, next_number=part.number + 1, rows=progress.rows + part.rows)
    if part.rows == 0:
        return (), after
    before = layout.separator if progress.rows else layout.head
    steps: tuple[Step, ...] = (Compose(part),)
    return ((Append(before), *steps) if before else steps), after


def close(progress: Progress, layout: Layout) -> tuple[Step, ...]:
    """What ends the file once its last part is in."""
    data = layout.tail if progress.rows else layout.empty
    return (Append(data),) if data else ()


def is_last(progress: Progress, parts_total: int | None) -> bool:
    """Whether every part is in; `parts_total` is unknown while the export is still being planned."""
    return parts_total is not None and progress.next_number > parts_total


def next_turn(progress: Progress, parts: Sequence[AssemblyPart]) -> tuple[AssemblyPart, ...]:
    """The parts that can be appended now, in order and without a gap, as many as one turn takes: others wait for the same lane."""
    turn: list[AssemblyPart] = []
    size = 0
    for number, part in enumerate(sorted(parts, key=lambda p: p.number), progress.next_number):
        if part.number != number or len(turn) == TURN_PARTS_MAX or (turn and size + part.bytes > TURN_BYTES_MAX):
            break
        turn.append(part)
        size += part.bytes
    return tuple(turn)
