"""Which chunks go out next: in turn over organisations, then over each one's exports, as many as there are free slots."""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

_NEVER = datetime.min


@dataclass(frozen=True)
class Waiting:
    """An export with planned chunks that wait. `served_at`, `org_served_at`: when it, and its organisation, last had a chunk released."""

    export_id: str
    org_id: str
    chunks: int
    created_at: datetime
    served_at: datetime | None = None
    org_served_at: datetime | None = None


def choose(waiting: Sequence[Waiting], slots: int) -> list[str]:
    """The exports that get the free slots, one entry a chunk, in order: whoever was served longest ago comes first."""
    organisations = _in_turn(waiting)
    chosen: list[str] = []
    while organisations and len(chosen) < slots:
        exports = organisations.popleft()
        export_id, left = exports.popleft()
        chosen.append(export_id)
        if left > 1:
            exports.append((export_id, left - 1))
        if exports:
            organisations.append(exports)
    return chosen


def _in_turn(waiting: Sequence[Waiting]) -> deque[deque[tuple[str, int]]]:
    """A queue of organisations, each a queue of (export, chunks left); the one served longest ago in front."""
    by_org: dict[str, list[Waiting]] = {}
    for each in waiting:
        if each.chunks > 0:
            by_org.setdefault(each.org_id, []).append(each)

    def org_turn(exports: list[Waiting]) -> tuple[datetime, datetime, str]:
        return _or_never(exports[0].org_served_at), min(e.created_at for e in exports).replace(tzinfo=None), exports[0].org_id

    def turn(export: Waiting) -> tuple[datetime, datetime, str]:
        return _or_never(export.served_at), export.created_at.replace(tzinfo=None), export.export_id

    ordered = sorted(by_org.values(), key=org_turn)
    return deque(deque((e.export_id, e.chunks) for e in sorted(exports, key=turn)) for exports in ordered)


def _or_never(at: datetime | None) -> datetime:
    return at.replace(tzinfo=None) if at else _NEVER


def spread(in_flight: Mapping[int, int], partitions: int, count: int) -> list[int]:
    """A partition for each of `count` chunks: the emptiest first, so that the formatter that has just finished gets the next one."""
    load = {p: in_flight.get(p, 0) for p in range(partitions)}
    chosen = []
    for _ in range(count):
        emptiest = min(load, key=lambda p: (load[p], p))
        load[emptiest] += 1
        chosen.append(emptiest)
    return chosen


def queue_position(own_ahead: int, others: Sequence[int]) -> int:
    """Where a waiting export stands when organisations take turns; 1 is next.

    `own_ahead`: exports of its organisation that were asked for earlier and wait; `others`: how many wait in each other organisation.
    """
    return own_ahead + 1 + sum(min(count, own_ahead + 1) for count in others)
