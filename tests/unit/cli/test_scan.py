"""Whatever is done to a file, the scan names the file, the part and the bytes; whatever isn't, it leaves alone."""

from hypothesis import given
from hypothesis import strategies as st

from cli.core.manifests import Claim, read
from cli.core.problems import Problem
from cli.core.scan import Scan
from services.delivery.core.assembly import Layout
from tests.unit.cli.made import Made, MadeFile, make_file

pieces = st.binary(max_size=6)
layouts = st.builds(Layout, head=pieces, separator=pieces, tail=pieces, empty=pieces)
bodies = st.lists(st.binary(max_size=40), max_size=6)
cuts = st.lists(st.integers(1, 17), min_size=1, max_size=8)


def claim_of(file: MadeFile) -> Claim:
    claims, problems = read(Made([file]).document)
    assert problems == []
    return claims[0]


def scan(file: MadeFile, data: bytes, sizes: list[int]) -> list[Problem]:
    """The data in pieces of these sizes, over and over."""
    scanned, at, turn = Scan(claim_of(file)), 0, 0
    while at < len(data):
        scanned.feed(data[at : at + sizes[turn % len(sizes)]])
        at, turn = at + sizes[turn % len(sizes)], turn + 1
    return scanned.problems()


def part_at(file: MadeFile, at: int) -> int | None:
    return next((number for number, (start, end) in file.places.items() if start <= at < end), None)


@given(bodies, layouts, cuts)
def test_what_was_not_touched_is_whole(bodies: list[bytes], layout: Layout, sizes: list[int]) -> None:
    file = make_file(1, bodies, layout)
    assert scan(file, file.data, sizes) == []


@given(bodies, layouts, cuts, st.data())
def test_a_flipped_byte_is_found_in_its_part_and_nowhere_else(
    bodies: list[bytes], layout: Layout, sizes: list[int], data: st.DataObject
) -> None:
    file = make_file(1, bodies, layout)
    if not file.data:
        return
    at = data.draw(st.integers(0, len(file.data) - 1), "at")
    flipped = bytearray(file.data)
    flipped[at] ^= data.draw(st.integers(1, 255), "bits")
    (problem,) = scan(file, bytes(flipped), sizes)
    assert (problem.code, problem.file) == ("bytes_differ", file.name)
    assert problem.first_byte is not None
    assert problem.last_byte is not None
    assert problem.first_byte <= at <= problem.last_byte
    part = part_at(file, at)
    if part is not None:
        assert (problem.parts, (problem.first_byte, problem.last_byte + 1)) == ((part,), file.places[part])
        assert (problem.first_key, problem.last_key) == (f"first{part}", f"last{part}")
        assert f"part {part} " in problem.message
    else:
        assert problem.parts == ()
        assert not any(start <= problem.last_byte and problem.first_byte < end for start, end in file.places.values())


@given(bodies, layouts, cuts, st.data())
def test_two_damaged_parts_are_both_named(bodies: list[bytes], layout: Layout, sizes: list[int], data: st.DataObject) -> None:
    file = make_file(1, bodies, layout)
    if len(file.places) < 2:
        return
    wrong = data.draw(st.lists(st.sampled_from(sorted(file.places)), min_size=2, max_size=2, unique=True))
    damaged = bytearray(file.data)
    for part in wrong:
        damaged[file.places[part][0]] ^= 1
    problems = scan(file, bytes(damaged), sizes)
    assert sorted(part for problem in problems for part in problem.parts) == sorted(wrong)


@given(bodies, layouts, cuts, st.data())
def test_a_file_cut_short_says_where_it_ends_and_what_is_missing(
    bodies: list[bytes], layout: Layout, sizes: list[int], data: st.DataObject
) -> None:
    file = make_file(1, bodies, layout)
    if not file.data:
        return
    length = data.draw(st.integers(0, len(file.data) - 1))
    (problem,) = scan(file, file.data[:length], sizes)
    assert (problem.code, problem.first_byte, problem.last_byte) == ("file_short", length, len(file.data) - 1)
    assert problem.parts == tuple(number for number, (_, end) in file.places.items() if end > length)


@given(bodies, layouts, cuts, st.binary(min_size=1, max_size=20))
def test_bytes_behind_the_end_are_too_many(bodies: list[bytes], layout: Layout, sizes: list[int], more: bytes) -> None:
    file = make_file(1, bodies, layout)
    (problem,) = scan(file, file.data + more, sizes)
    assert (problem.code, problem.first_byte, problem.last_byte) == ("file_long", len(file.data), len(file.data) + len(more) - 1)


@given(bodies, layouts, cuts, st.data())
def test_a_byte_put_in_is_never_overlooked(bodies: list[bytes], layout: Layout, sizes: list[int], data: st.DataObject) -> None:
    file = make_file(1, bodies, layout)
    at = data.draw(st.integers(0, len(file.data)))
    problems = scan(file, file.data[:at] + data.draw(st.binary(min_size=1, max_size=1)) + file.data[at:], sizes)
    assert "file_long" in {problem.code for problem in problems}


def test_parts_that_contradict_the_whole_are_the_manifests_fault() -> None:
    file = make_file(1, [b"abc"], Layout(b"h", b"", b"", b""))
    claim = claim_of(file)
    scanned = Scan(Claim(claim.name, claim.format, claim.rows, claim.bytes, "0" * 64, claim.regions))
    scanned.feed(file.data)
    (problem,) = scanned.problems()
    assert (problem.code, "contradicts itself" in problem.message) == ("sha256_differs", True)
