"""Plans are cut at file ends and go on after a crash; files are sent in order, each part once, and closed once."""

from hypothesis import given
from hypothesis import strategies as st

from services.export_request.core.planning import (
    LARGE_FROM,
    WHOLE,
    ChunkLimits,
    Cursor,
    Planned,
    add,
    grown,
    is_express,
    resume,
    rows_max,
    start,
)
from services.export_request.core.track import PARTS_MAX, Tracked, file_name, numbering_known, part_key, runs

LIMITS = ChunkLimits(10, 1000)


def plan(total: int, max_rows: int | None, cursor: Cursor | None = None, stop_after: int | None = None) -> tuple[list[Planned], Cursor]:
    """All chunks of `total` rows that a dataset would give."""
    cursor = cursor or start(max_rows)
    chunks: list[Planned] = []
    done = int(cursor.after[0]) if cursor.after else 0
    while done < total and stop_after != len(chunks):
        rows = min(rows_max(cursor, grown(LIMITS, cursor.number)), total - done)
        done += rows
        chunk, cursor = add(cursor, max_rows, rows, rows, [str(done)])
        chunks.append(chunk)
    return chunks, cursor


@given(st.integers(0, 200), st.none() | st.integers(1, 40))
def test_no_file_is_larger_than_asked_and_none_is_smaller_but_the_last(total: int, max_rows: int | None) -> None:
    chunks, _ = plan(total, max_rows)
    files = [sum(c.rows for c in chunks if c.file_number == n) for n in sorted({c.file_number for c in chunks})]
    assert sum(files) == total
    if max_rows:
        assert all(rows == max_rows for rows in files[:-1])
        assert all(rows <= max_rows for rows in files)
    assert [c.number for c in chunks] == list(range(len(chunks)))
    assert [c.lower for c in chunks[1:]] == [c.upper for c in chunks[:-1]]
    for n in {c.file_number for c in chunks}:
        positions = [c.position for c in chunks if c.file_number == n]
        assert positions == list(range(1, len(positions) + 1))


@given(st.integers(1, 200), st.none() | st.integers(1, 40), st.integers(0, 20))
def test_a_resumed_plan_is_the_same_plan(total: int, max_rows: int | None, stop: int) -> None:
    whole, _ = plan(total, max_rows)
    first, _ = plan(total, max_rows, stop_after=stop)
    last = [c for c in first if c.file_number == first[-1].file_number] if first else []
    cursor = resume(
        max_rows, len(first), first[-1].upper if first else None, last[-1].file_number if last else 1, len(last), sum(c.rows for c in last),
        last[-1].rows if last else 0, last[-1].bytes if last else 0,
    )  # fmt: skip
    rest, _ = plan(total, max_rows, cursor)
    assert first + rest == whole


@given(st.lists(st.integers(1, 2000), min_size=1, max_size=200))
def test_chunks_hold_few_rows_where_rows_are_large(sizes: list[int]) -> None:
    """A dataset that counts at most as many rows as it is asked for, and fills a chunk by bytes where they don't all fit."""
    cursor, done = start(None), 0
    while done < len(sizes):
        most = rows_max(cursor, LIMITS)
        assert 1 <= most <= LIMITS.rows
        page = sizes[done : done + most]
        while len(page) > 1 and sum(page) > LIMITS.bytes:
            page.pop()
        done += len(page)
        _, cursor = add(cursor, None, len(page), sum(page), [str(done)])
    assert done == len(sizes)


def test_like_rows_are_counted_once() -> None:
    cursor, counted = start(None), []
    for _ in range(5):
        counted.append(rows_max(cursor, LIMITS))
        rows = min(counted[-1], LIMITS.bytes // 300)
        _, cursor = add(cursor, None, rows, rows * 300, ["x"])
    assert counted == [10, 3, 3, 3, 3]


def test_chunks_of_a_long_plan_hold_twice_as_much() -> None:
    chunks, _ = plan(205, None)
    assert [c.rows for c in chunks] == [10] * LARGE_FROM + [20] * 5 + [5]
    assert grown(LIMITS, LARGE_FROM) == ChunkLimits(20, 2000)
    assert grown(WHOLE, LARGE_FROM) == WHOLE


def test_express_is_one_small_chunk_of_a_whole_plan() -> None:
    assert is_express(1, 100, 5000, True, 100, 5000)
    assert is_express(0, 0, 0, True, 100, 5000)
    assert not is_express(1, 101, 1, True, 100, 5000)
    assert not is_express(1, 1, 5001, True, 100, 5000)
    assert not is_express(2, 2, 2, True, 100, 5000)
    assert not is_express(1, 1, 1, False, 100, 5000)


@given(st.lists(st.integers(1, 6), min_size=1, max_size=5), st.randoms(use_true_random=False), st.integers(0, 30))
def test_parts_go_out_once_in_order_and_every_file_is_closed_once(files: list[int], random: object, complete_at: int) -> None:
    """Chunks come back in any order, and the plan becomes complete at any moment."""
    chunks = [(number, file) for number, file in enumerate(f for f, n in enumerate(files, 1) for _ in range(n))]
    order = list(chunks)
    random.shuffle(order)  # type: ignore[attr-defined]
    sent: dict[int, list[int]] = {f: [] for f in range(1, len(files) + 1)}
    closed: list[int] = []
    done: set[int] = set()
    planned = False

    def send(only: set[int], closing: list[int]) -> None:
        unsent = [Tracked(n, f, n in done) for n, f in chunks if f in only and n not in sent[f]]
        for run in runs(unsent, planned, closing):
            assert run.file_number not in closed
            sent[run.file_number] += run.numbers
            closed.extend([run.file_number] * run.last)

    for moment in range(len(chunks) + 31):
        if moment == complete_at:
            planned = True
            send(set(sent), list(sent))
        if moment < len(order):
            number, file = order[moment]
            done.add(number)
            send({file}, [])
    assert sent == {f: [n for n, file in chunks if file == f] for f in sent}
    assert sorted(closed) == list(sent)


def test_a_long_run_is_split_and_only_its_end_closes() -> None:
    found = runs([Tracked(n, 1, True) for n in range(PARTS_MAX + 1)], True)
    assert [(len(r.numbers), r.last) for r in found] == [(PARTS_MAX, False), (1, True)]


def test_names() -> None:
    assert file_name("leads_exp_1", "csv", "none", None) == "leads_exp_1.csv"
    assert file_name("leads_exp_1", "json", "gzip", 2) == "leads_exp_1_0002.json.gz"
    assert file_name("leads_exp_1", "jsonl", "zstd", None) == "leads_exp_1.jsonl.zst"
    assert part_key("exp_1", 7, "csv") == "parts/exp_1/00000007.csv"
    assert [numbering_known(None, 1, False), numbering_known(5, 1, False), numbering_known(5, 2, False), numbering_known(5, 1, True)] == [
        True, False, True, True,
    ]  # fmt: skip


def test_a_message_holds_what_fits_into_one() -> None:
    chunks = [Tracked(n, 1, True, 300_000) for n in range(1, 9)]
    assert [run.numbers for run in runs(chunks, True)] == [(1, 2, 3), (4, 5, 6), (7, 8)]
    assert [run.last for run in runs(chunks, True)] == [False, False, True]
    assert [run.numbers for run in runs([Tracked(1, 1, True, 5 << 20)], True)] == [(1,)]
