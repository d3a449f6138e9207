"""Folding a batch gives what taking its records one by one gives."""

from dataclasses import dataclass, field
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from services.ingest.core.fold import Held, fold, split
from services.ingest.core.records import Record

IDS = ["a", "b", "c"]
versions = st.none() | st.integers(0, 5)


@dataclass
class Entry:
    """An id in the naive model: written straight from the contract's words."""

    row: Any = None
    seen: int | None = None
    erased: bool = False


@dataclass
class Model:
    entries: dict[str, Entry] = field(default_factory=lambda: {id_: Entry() for id_ in IDS})

    def take(self, record: Record) -> bool:
        """True: accepted, false: stale."""
        entry = self.entries[record.id]
        if record.op == "erase" and not entry.erased:
            entry.erased, entry.row = True, None
            entry.seen = max((v for v in (entry.seen, record.version) if v is not None), default=None)
            return True
        if entry.erased and record.op != "erase":
            return False
        if record.version is not None:
            if entry.seen is not None and record.version <= entry.seen:
                return False
            entry.seen = record.version
        entry.row = record.row if record.op == "upsert" else None
        return True

    def held(self) -> dict[str, Held]:
        """What the tables would hold."""
        known = {}
        for id_, entry in self.entries.items():
            if entry.row is not None:
                known[id_] = Held("current", entry.seen)
            elif entry.erased or entry.seen is not None:
                known[id_] = Held("erased" if entry.erased else "gone", entry.seen)
        return known


@st.composite
def a_record(draw: st.DrawFn) -> Record:
    op = draw(st.sampled_from(["upsert", "upsert", "upsert", "delete", "erase"]))
    row = (draw(st.integers(0, 9)),) if op == "upsert" else None
    return Record("lead", draw(st.sampled_from(IDS)), op, draw(versions), None, row)  # type: ignore[arg-type]


@given(st.lists(st.lists(a_record(), max_size=8), max_size=4))
def test_batches_give_what_single_records_give(batches: list[list[Record]]) -> None:
    model = Model()
    for batch in batches:
        held = model.held()
        folded = fold(batch, held)
        assert list(folded.accepted) == [model.take(record) for record in batch]
        after = {id_: (h.life, h.version, model.entries[id_].row) for id_, h in model.held().items()}
        state = {id_: (h.life, h.version) for id_, h in held.items()}
        for final in folded.finals:
            if final.life == "gone" and final.version is None:
                state.pop(final.id, None)  # nothing is left to remember
            elif final.life != "unknown":
                state[final.id] = (final.life, final.version)
                if final.life == "current":
                    assert final.row == after[final.id][2]
            assert final.before == held.get(final.id, Held("unknown", None))
            kept = final.before.life == "current" and final.before.version == final.version
            assert final.moved_version == (None if kept else final.version)
        assert state == {id_: (life, version) for id_, (life, version, _) in after.items()}


@given(st.lists(a_record(), max_size=10), st.randoms())
def test_versioned_records_end_the_same_in_any_order(records: list[Record], random: Any) -> None:
    one_each = list({(r.id, r.version): r for r in records if r.version is not None and r.op != "erase"}.values())
    shuffled = random.sample(one_each, len(one_each))
    assert ends(one_each) == ends(shuffled + one_each)


def ends(records: list[Record]) -> Any:
    return {f.id: (f.life, f.version, f.row) for f in fold(records, {}).finals}


@given(st.lists(a_record(), max_size=10))
def test_only_upserts_of_ids_that_come_once_are_plain(records: list[Record]) -> None:
    plain, others = split(records)
    ids = [r.id for r in records]
    assert plain == [r for r in records if r.op == "upsert" and ids.count(r.id) == 1]
    assert others == [r for r in records if r not in plain]
