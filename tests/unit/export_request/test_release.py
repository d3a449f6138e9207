"""Fairness: organisations take turns, then their exports; slots are never left free while something waits."""

from collections import Counter
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from services.export_request.core.release import Waiting, choose, queue_position, spread

START = datetime(2026, 3, 1, tzinfo=UTC)


def waiting(
    export_id: str, org_id: str, chunks: int = 100, minute: int = 0, served: int | None = None, org_served: int | None = None
) -> Waiting:
    def at(seconds: int | None) -> datetime | None:
        return None if seconds is None else START + timedelta(seconds=seconds)

    return Waiting(export_id, org_id, chunks, START + timedelta(minutes=minute), at(served), at(org_served))


def test_whoever_was_served_longest_ago_comes_first() -> None:
    exports = [waiting("a1", "a", served=5, org_served=5), waiting("a2", "a", org_served=5), waiting("b1", "b", org_served=3)]
    assert choose(exports, 4) == ["b1", "a2", "b1", "a1"]


def test_an_organisation_with_many_exports_gets_no_more_than_another() -> None:
    exports = [waiting(f"a{n}", "a") for n in range(50)] + [waiting("b", "b", minute=9)]
    assert Counter(e[0] for e in choose(exports, 10)) == {"a": 5, "b": 5}


backlogs = st.dictionaries(st.sampled_from("abcde"), st.lists(st.integers(1, 30), min_size=1, max_size=4), min_size=1)


@given(backlogs, st.integers(0, 40))
def test_slots_are_filled_and_no_chunk_goes_out_twice(backlog: dict[str, list[int]], slots: int) -> None:
    exports = [waiting(f"{org}{n}", org, chunks) for org, each in backlog.items() for n, chunks in enumerate(each)]
    chosen = choose(exports, slots)
    assert len(chosen) == min(slots, sum(e.chunks for e in exports))
    assert all(count <= next(e.chunks for e in exports if e.export_id == x) for x, count in Counter(chosen).items())


@given(st.dictionaries(st.sampled_from("abcde"), st.integers(1, 4), min_size=2), st.lists(st.integers(0, 7), min_size=1, max_size=30))
def test_organisations_that_always_wait_are_served_alike(exports_of: dict[str, int], rounds: list[int]) -> None:
    """Over any sequence of rounds, by two organisations' chunks and by two exports' of one organisation."""
    served: dict[str, int] = {}
    org_served: dict[str, int] = {}
    counts: Counter[str] = Counter({f"{org}{n}": 0 for org, many in exports_of.items() for n in range(many)})
    for now, slots in enumerate(rounds):
        exports = [waiting(e, e[0], served=served.get(e), org_served=org_served.get(e[0])) for e in counts]
        for each in choose(exports, slots):
            counts[each] += 1
            served[each] = org_served[each[0]] = now
    by_org = Counter({org: sum(c for e, c in counts.items() if e[0] == org) for org in exports_of})
    assert max(by_org.values()) - min(by_org.values()) <= len(rounds)
    never = [org for org in by_org if by_org[org] == 0]
    assert not never or by_org.total() < len(by_org)


@given(st.dictionaries(st.integers(0, 5), st.integers(0, 9)), st.integers(0, 30))
def test_chunks_go_where_least_is_under_way(in_flight: dict[int, int], count: int) -> None:
    before = Counter({p: in_flight.get(p, 0) for p in range(6)})
    chosen = spread(in_flight, 6, count)
    after = before + Counter(chosen)
    for partition in set(chosen):
        assert after[partition] - 1 <= min(after[p] for p in range(6))
    assert len(chosen) == count


def test_the_queue_is_counted_as_turns_are_taken() -> None:
    assert queue_position(0, []) == 1
    assert queue_position(0, [100]) == 2
    assert queue_position(3, [100, 1]) == 9
