"""Which records of a batch need no look at what is held, and what the others come to: one final state an id.

The rules of `version`: a record that gives one is ignored, and counted as stale, where it isn't above the highest version seen of its id,
also where that was seen by a delete. A record without one applies, and the highest version seen stays. An erasure always applies, whatever
its version, because a person's wish must not depend on the order of arrival; from then on the id is blocked and what comes for it is stale.
PostgreSQL applies these rules to an upsert whose id comes once and has no tombstone (queries.sql, put_versions); this module to all else.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

from services.ingest.core.records import Record
from services.ingest.core.rows import Row

Life = Literal["unknown", "current", "gone", "erased"]


class Held(msgspec.Struct, frozen=True, gc=False):
    """What the tables hold of an id: a current row, or a tombstone; `version` is the highest seen."""

    life: Life
    version: int | None


NOTHING = Held("unknown", None)


class Final(msgspec.Struct, frozen=True, gc=False):
    """What an id becomes. `row` is null unless it is current."""

    id: str
    life: Life
    version: int | None
    row: Row | None
    before: Held

    @property
    def moved_version(self) -> int | None:
        """The version to write the row with: null where it keeps that of the row that it replaces."""
        return None if self.before.life == "current" and self.before.version == self.version else self.version


class Folded(msgspec.Struct, frozen=True, gc=False):
    """Finals in order of first appearance, and the fate of each record in the batch's order (true: accepted, false: stale)."""

    finals: tuple[Final, ...]
    accepted: tuple[bool, ...]


def split(records: Sequence[Record]) -> tuple[list[Record], list[Record]]:
    """Records of one organisation and type: the plain ones, upserts of ids that come once, and the rest, which `fold` takes."""
    ids = [record.id for record in records]
    again = set() if len(set(ids)) == len(ids) else {id_ for id_, count in Counter(ids).items() if count > 1}
    plain = [record for record in records if record.row is not None and record.id not in again]
    if len(plain) == len(records):
        return plain, []
    return plain, [record for record in records if record.row is None or record.id in again]


def fold(records: Sequence[Record], held: Mapping[str, Held]) -> Folded:
    """Fold records of one organisation and type. `held` knows every id that has a row or a tombstone."""
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
    finals = [Final(id_, life, version, row, held.get(id_, NOTHING)) for id_, (life, version, row, written) in states.items() if written]
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
