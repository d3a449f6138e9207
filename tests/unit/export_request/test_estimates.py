"""Estimates: samples lie where the bytes are, and what each part costs is told from what its rows do."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.export_request.core.estimates import Chunk, Sample, Walked, estimated_bytes, estimated_seconds, parts_of, places
from shared.datasets.plan import PlanSpec
from shared.formats.base import Frame

SIZES = st.lists(st.integers(1, 10**9), min_size=1, max_size=40)
SPEC = PlanSpec(dataset="messages", formats=["csv"], columns={"csv": ["content"]}, timezone="UTC")
FRAMES = {"csv": Frame(b"head\n", b"", b"", b"head\n")}


def walked(sizes: list[int], rows: int = 10) -> Walked:
    return Walked(tuple(Chunk(None, [str(n)], rows, size) for n, size in enumerate(sizes)))


@given(SIZES, st.integers(1, 12))
def test_every_place_stands_for_the_same_share_of_the_bytes(sizes: list[int], count: int) -> None:
    found = places(walked(sizes).chunks, count)
    assert len(found) == count
    assert all(0 <= offset < max(1, sizes[at]) for at, offset in found)
    assert found == sorted(found)
    for at, times in Counter(at for at, _ in found).items():
        assert abs(times - count * sizes[at] / sum(sizes)) <= 1


@given(SIZES, st.floats(0.1, 5))
def test_rows_whose_bytes_are_those_of_postgresql_times_something_are_estimated_exactly(sizes: list[int], ratio: float) -> None:
    all_of_it = walked(sizes)
    samples = [
        Sample(10, sizes[at], 0.1, {"csv": (round(sizes[at] * ratio * 1000), None)}, share=1 / 6) for at, _ in places(all_of_it.chunks)
    ]
    told = estimated_bytes(SPEC, all_of_it, samples, FRAMES, 50_000, protected=False)["csv"]
    assert abs(told - (5 + 1000 * ratio * sum(sizes))) <= 1 + 0.01 * told


@given(st.floats(0, 1), st.floats(1e-6, 1e-3), st.integers(1, 40))
def test_seconds_are_those_of_the_chunks_beginnings_and_of_the_rows(begin: float, row: float, parts: int) -> None:
    rows = 50_000 * parts
    whole = Walked((Chunk(None, ["x"], rows, rows * 100),))
    sample = Sample(3_000, 300_000, begin + 3_000 * row, {"csv": (1, None)})
    told = estimated_seconds(SPEC, whole, [sample], begin, 50_000, formatters=2)
    chunks = parts if parts <= 10 else 10 + -(-(parts - 10) // 2)  # from the eleventh on they are twice as large
    real = 0.3 + (chunks * begin + parts * 50_000 * row) / min(2, parts)
    assert (
        abs(told - real) <= 0.06 + 0.01 * real or begin > 9 * 3_000 * row
    )  # a sample that is hardly anything but its beginning says little of rows


@pytest.mark.parametrize(
    "files, rows, parts",
    [(1, 0, 1), (1, 500, 5), (1, 1_000, 10), (1, 1_200, 11), (1, 3_000, 20), (3, 300, 1), (20, 2_000, 1), (4, 2_400, 5)],
)
def test_parts_are_as_many_as_are_planned(files: int, rows: int, parts: int) -> None:
    assert parts_of(walked([rows], rows), files, 100) == parts


def test_what_lies_behind_what_was_counted_is_as_its_own_samples_are() -> None:
    found = Walked((Chunk(None, ["x"], 100, 10_000),), complete=False, rest=300)
    inside = Sample(10, 1_000, 0.1, {"csv": (2_000, None)}, share=1.0)
    behind = Sample(10, 9_000, 0.1, {"csv": (30_000, None)}, share=0.0)
    assert estimated_bytes(SPEC, found, [inside, behind], FRAMES, 50_000, False) == {"csv": 5 + 20_000 + 900_000}
    assert estimated_bytes(SPEC, found, [inside], FRAMES, 50_000, False) == {"csv": 5 + 80_000}
    assert estimated_bytes(SPEC, Walked(), [], FRAMES, 50_000, False) == {"csv": 5}


def test_where_nothing_was_written_files_have_none_of_what_ends_them() -> None:
    """Rows were counted, and are gone or unchanged."""
    spec, frame = SPEC.model_copy(update={"formats": ["parquet"]}), Frame(b"head", b"", b"tail", b"empty file")
    gone = Sample(10, 1_000, 0.1, {"parquet": (0, None)})
    assert estimated_bytes(spec, walked([1_000]), [gone], {"parquet": frame}, 50_000, False) == {"parquet": 10}
