"""A batch in order, folded to what has to be written: one final state an id, and for each record whether it was accepted or stale.

The rules of `version`: a record that gives one is ignored, and counted as stale, where it isn't above the highest version seen of its id,
also where that was seen by a delete. A record without one applies, and the highest version seen stays. An erasure always applies, whatever
its version, because a person's wish must not depend on the order of arrival; from then on the id is blocked and what comes for it is stale.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

import msgspec

from services.ingest.core.records import Record
from services.ingest.core.rows import Row

Life = Literal["unknown", "current", "gone", "erased"]


class Held(msgspec.Struct, frozen=True, gc=False):
    """What the tables hold of an id: a current row (`place` says where), or a tombstone; `version` is the highest seen."""

    life: Life
    version: int | None
    place: tuple[int, int] | None = None


NOTHING = Held("unknown", None)


class Final(msgspec.Struct, frozen=True, gc=False):
    """What an id becomes. `row` is null unless it is current. `repeat`: no version moved, so the row may be the one that is held."""

    id: str
    life: Life
    version: int | None
    row: Row | None
    before: Held
    repeat: bool


class Folded(msgspec.Struct, frozen=True, gc=False):
    """Finals in order of first appearance, and the fate of each record in the batch's order (true: accepted, false: stale)."""

    finals: tuple[Final, ...]
    accepted: tuple[bool, ...]


def fold(records: Sequence[Record], held: Mapping[str, Held]) -> Folded:
    """Fold records of one organisation and type. `held` knows every id that has a row or a tombstone."""
    if len({r.id for r in records}) == len(records):
        return _each_once(records, held)
    states: dict[str, tuple[Life, int | None, Row | None, bool]] = {}
    accepted = []
    for record in records:
        before = held.get(record.id, NOTHING)
        life, version, row, written = states.get(record.id) or (before.life, before.version, None, False)
        if applies(record, life, version):
            states[record.id] = (*_after(record, life, version), True)
            accepted.append(True)
        else:
            states[record.id] = (life, version, row, written)
            accepted.append(False)
    finals = [
        _final(id_, life, version, row, held.get(id_, NOTHING)) for id_, (life, version, row, written) in states.items() if written
    ]  # fmt: skip
    return Folded(tuple(finals), tuple(accepted))


def _each_once(records: Iterable[Record], held: Mapping[str, Held]) -> Folded:
    """The common case, an id once in the batch, without the bookkeeping."""
    finals, accepted = [], []
    for record in records:
        before = held.get(record.id, NOTHING)
        if applies(record, before.life, before.version):
            finals.append(_final(record.id, *_after(record, before.life, before.version), before))
            accepted.append(True)
        else:
            accepted.append(False)
    return Folded(tuple(finals), tuple(accepted))


def applies(record: Record, life: Life, version: int | None) -> bool:
    """Whether a record changes an id of which `version` is the highest seen; where not, it is stale."""
    if record.op == "erase" and life != "erased":
        return True
    if life == "erased" and record.op != "erase":
        return False
    return record.version is None or version is None or record.version > version


def _after(record: Record, life: Life, version: int | None) -> tuple[Life, int | None, Row | None]:
    """The id's state once the record has been applied."""
    highest = version if record.version is None or (version is not None and version > record.version) else record.version
    if record.op == "upsert":
        return "current", highest, record.row
    if record.op == "erase":
        return "erased", highest, None
    return "unknown" if life == "unknown" and highest is None else "gone", highest, None


def _final(id_: str, life: Life, version: int | None, row: Row | None, before: Held) -> Final:
    return Final(id_, life, version, row, before, before.life == life and before.version == version)
