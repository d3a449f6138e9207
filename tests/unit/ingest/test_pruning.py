"""Where a round of pruning looks, and which kept instants decide, against looking everywhere at all of them."""

from collections.abc import Sequence
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from services.ingest.core.pruning import Instant, arrivals_before, instants, stretches, watching

TRANSACTIONS = 30


@st.composite
def a_history(draw: st.DrawFn) -> tuple[list[Instant], dict[int, int]]:
    """Snapshots of a database whose transactions overlap, oldest first, and when each transaction ended."""
    ends = {xid: xid * 10 + draw(st.integers(1, 80)) for xid in range(1, TRANSACTIONS)}
    taken = []
    for at in sorted(draw(st.lists(st.integers(10, TRANSACTIONS * 10), min_size=1, max_size=8, unique=True))):
        begun = [xid for xid in ends if xid * 10 < at]
        running = sorted(xid for xid in begun if ends[xid] > at)
        xmax = max((xid for xid in begun if ends[xid] <= at), default=0) + 1
        running = [xid for xid in running if xid < xmax]
        taken.append(Instant.read(f"{min([*running, xmax])}:{xmax}:{','.join(map(str, running))}"))
    return taken, ends


def sees(snapshot: Instant, xid: int) -> bool:
    running = snapshot.text.rpartition(":")[2]
    return xid < snapshot.xmin or (xid < snapshot.xmax and str(xid) not in running.split(","))


def seen(kept: Sequence[Instant], added: int, ended: int) -> bool:
    return any(sees(k, added) and not sees(k, ended) for k in kept)


VERSIONS = [(added, ended) for added in range(1, TRANSACTIONS) for ended in range(added + 1, TRANSACTIONS)]


@given(a_history(), st.data())
def test_the_instants_that_watch_a_stretch_decide_as_all_of_them_do(
    history: tuple[list[Instant], dict[int, int]], data: st.DataObject
) -> None:
    kept = instants(s.text for s in history[0])
    start = data.draw(st.integers(1, TRANSACTIONS - 1))
    end = data.draw(st.integers(start + 1, TRANSACTIONS))
    watchers = instants(watching(kept, start, end))
    for added, ended in VERSIONS:
        if start <= ended < end:
            assert seen(watchers, added, ended) == seen(kept, added, ended)


@given(a_history(), st.data())
def test_rounds_leave_nothing_that_may_go_and_look_at_little_else(
    history: tuple[list[Instant], dict[int, int]], data: st.DataObject
) -> None:
    taken, _ = history
    there, looked_to, then = set(VERSIONS), 0, list[Instant]()
    before = 0
    for _ in range(data.draw(st.integers(1, 5))):
        # Kept from the last round on, or of an instant that sees whatever ended before the mark.
        kept = sorted({s for s in taken if (s in then or s.xmin >= before) and data.draw(st.booleans())})
        before = data.draw(st.integers(before, TRANSACTIONS))
        found = stretches(looked_to, before, then, kept)
        assert all(start < end <= before for start, end in found)
        assert all(a[1] < b[0] for a, b in pairwise(found))
        there -= {v for v in there if any(start <= v[1] < end for start, end in found) and not seen(kept, *v)}
        assert {v for v in VERSIONS if v[1] >= before} <= there
        assert not [v for v in there if v[1] < before and not seen(kept, *v)]
        looked_to, then = before, kept


def test_nothing_changed_nothing_to_look_at() -> None:
    kept = instants(["5:7:5", "9:9:"])
    assert stretches(12, 12, kept, kept) == []
    assert stretches(12, 15, kept, kept) == [(12, 15)]
    assert stretches(12, 12, kept, kept[1:]) == [(5, 9)], "what only the first saw ended before the second began"
    assert arrivals_before(12, kept) == 5
    assert arrivals_before(12, []) == 12
