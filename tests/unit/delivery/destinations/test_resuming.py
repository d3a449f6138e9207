"""Going on after a break: never a wrong byte, whatever a server had written of what was under way."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.delivery.core.destinations.resuming import NAME_BYTES_MAX, WINDOW_BYTES, Note, part_name, pieces, read_note, start_at
from services.delivery.destinations.pouring import WRITE_BYTES_DEFAULT, WRITE_BYTES_MAX, piece_max_of, pour

WINDOW, PIECE = 8, 3


@given(st.integers(1, 60), st.data())
@settings(max_examples=200)
def test_attempts_that_break_anywhere_come_to_the_same_bytes(size: int, data: st.DataObject) -> None:
    """A server may have done any of the writes that it hasn't confirmed, in any order."""
    content, there = bytes(range(1, size + 1)), bytearray()
    note, begun = Note("part", WINDOW), False
    for _ in range(8):
        begin = start_at(note if begun else None, "part", len(there) if begun else None, size)
        if begin is None:
            there, begin = bytearray(), 0
        begun = True
        confirmed = data.draw(st.integers(begin, size), "confirmed up to")
        _write(there, content, begin, confirmed)
        ahead = [each for each in range(confirmed, min(size, confirmed + WINDOW))]
        for at in data.draw(st.lists(st.sampled_from(ahead), unique=True) if ahead else st.just([]), "written beyond"):
            _write(there, content, at, at + 1)
    begin = start_at(note, "part", len(there), size)
    assert begin is not None
    _write(there, content, begin, size)
    assert bytes(there) == content


def _write(there: bytearray, content: bytes, begin: int, end: int) -> None:
    there.extend(bytes(max(0, end - len(there))))
    there[begin:end] = content[begin:end]


@pytest.mark.parametrize(
    ("note", "there", "start"),
    [
        (None, 50, None),
        (Note("other"), 50, None),
        (Note("part"), None, None),
        (Note("part"), 101, None),
        (Note("part", 10), 50, 40),
        (Note("part", 10), 5, 0),
        (Note("part", 10), 100, 90),
    ],
)
def test_what_is_not_known_to_be_ours_is_begun_anew(note: Note | None, there: int | None, start: int | None) -> None:
    assert start_at(note, "part", there, 100) == start


def test_a_note_comes_back() -> None:
    assert read_note(Note("a/b", placing=True).text) == Note("a/b", WINDOW_BYTES, True)
    assert read_note(None) is None


@given(
    st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=255),
    st.sampled_from(["dlv_01", "dlv_" + "x" * 26]),
)
def test_temporary_names_fit_and_are_one_file_s_alone(name: str, delivery_id: str) -> None:
    made = part_name(name, delivery_id)
    assert len(made.encode()) <= NAME_BYTES_MAX
    assert made.startswith(".") and made.endswith(f".{delivery_id}.part")
    assert made != part_name(name + "x", delivery_id)


@given(st.integers(1, 1 << 20), st.integers(1, 1 << 18))
def test_pieces_are_all_of_it_and_none_is_too_long(length: int, most: int) -> None:
    cut = pieces(length, max(most, length // 500))
    assert [0, *(end for _, end in cut)] == [*(begin for begin, _ in cut), length]
    assert max(end - begin for begin, end in cut) <= max(most, length // 500)


def test_how_long_a_write_may_be() -> None:
    assert [piece_max_of(limit) for limit in (0, 1000, 261_120, 1 << 30)] == [
        WRITE_BYTES_DEFAULT,
        WRITE_BYTES_DEFAULT,
        261_120,
        WRITE_BYTES_MAX,
    ]


async def test_no_write_is_further_ahead_than_the_window() -> None:
    """Confirmed in the order in which the server likes."""
    confirmed, sent, waiting = 0, 0, []

    class Target:
        async def write(self, content: bytes, at: int) -> None:
            nonlocal sent
            sent = max(sent, at + len(content))
            assert sent - confirmed <= WINDOW_BYTES
            done = asyncio.Event()
            waiting.append((at, len(content), done))
            await done.wait()

    async def source() -> AsyncIterator[bytes]:
        for _ in range(12):
            yield bytes(1 << 20)

    async def confirm() -> None:
        nonlocal confirmed
        while confirmed < 12 << 20:
            if waiting:
                at, length, done = waiting.pop()
                done.set()
                parts.append((at, at + length))
                while found := next((end for begin, end in parts if begin == confirmed), None):
                    confirmed = found
            await asyncio.sleep(0)

    parts: list[tuple[int, int]] = []
    confirming = asyncio.create_task(confirm())
    target: Any = Target()
    assert await pour(target, source(), 0, WRITE_BYTES_MAX, 5) == 12 << 20
    await confirming
