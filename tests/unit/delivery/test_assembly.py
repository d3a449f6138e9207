"""The layout of a file against the plain definition: head + part (separator part)* + tail, or `empty`."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.delivery.core.assembly import (
    TURN_BYTES_MAX,
    TURN_PARTS_MAX,
    Append,
    Layout,
    Progress,
    Step,
    add_part,
    close,
    is_last,
    next_turn,
)
from shared.messages import AssemblyPart

layouts = st.builds(Layout, *[st.binary(max_size=4)] * 4)
bodies = st.lists(st.one_of(st.just(b""), st.binary(min_size=1, max_size=6)), max_size=30)


def part(number: int, rows: int = 1, size: int = 1) -> AssemblyPart:
    return AssemblyPart(number, f"parts/exp/{number}", rows, size, "")


def written(steps: tuple[Step, ...], bodies: list[bytes]) -> bytes:
    return b"".join(s.data if isinstance(s, Append) else bodies[s.part.number - 1] for s in steps)


@given(layouts, bodies)
def test_a_file_is_its_definition(layout: Layout, bodies: list[bytes]) -> None:
    progress, out = Progress(), b""
    for number, body in enumerate(bodies, 1):
        steps, progress = add_part(progress, layout, part(number, rows=len(body), size=len(body)))
        out += written(steps, bodies)
    out += written(close(progress, layout), bodies)
    full = [b for b in bodies if b]
    assert out == (layout.head + layout.separator.join(full) + layout.tail if full else layout.empty)
    assert is_last(progress, len(bodies))
    assert not is_last(progress, len(bodies) + 1)
    assert not is_last(progress, None)


def test_a_part_out_of_place_is_refused() -> None:
    with pytest.raises(ValueError, match="part 3 comes where part 1 belongs"):
        add_part(Progress(), Layout(b"", b"", b"", b""), part(3))


@given(st.sets(st.integers(1, 40)), st.integers(1, 40), st.randoms())
def test_a_turn_has_no_gap_whatever_order_parts_come_in(numbers: set[int], next_number: int, random: object) -> None:
    known = [part(n) for n in numbers if n >= next_number]
    random.shuffle(known)  # type: ignore[attr-defined]
    turn = [p.number for p in next_turn(Progress(next_number), known)]
    end = next_number
    while end in numbers:
        end += 1
    assert turn == list(range(next_number, end))


def test_a_turn_is_bounded_by_bytes_and_by_parts_and_never_empty() -> None:
    assert len(next_turn(Progress(), [part(1, size=2 * TURN_BYTES_MAX), part(2)])) == 1
    assert len(next_turn(Progress(), [part(n, size=TURN_BYTES_MAX // 2) for n in (1, 2, 3)])) == 2
    assert len(next_turn(Progress(), [part(n) for n in range(1, TURN_PARTS_MAX + 9)])) == TURN_PARTS_MAX
