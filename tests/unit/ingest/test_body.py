"""Lines out of pieces, whatever the pieces."""

import gzip
from collections.abc import AsyncIterator
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ingest.body import PIECE_BYTES, Lines, _gunzipped
from services.ingest.core.types import RECORD_BYTES_MAX
from shared.errors import ApiError


@given(st.lists(st.sampled_from([b"a", b"{}", b"", b" ", b"\r"]), max_size=8), st.lists(st.integers(0, 20), max_size=5), st.booleans())
def test_lines_do_not_depend_on_the_pieces(lines: list[bytes], cuts: list[int], ended: bool) -> None:
    body = b"\n".join(lines) + (b"\n" if ended else b"")
    places = [0, *sorted(min(c, len(body)) for c in cuts), len(body)]
    reader = Lines()
    found = [line for a, b in pairwise(places) for line in reader.feed(body[a:b])] + reader.end()
    assert found == [(n, line) for n, line in enumerate(body.split(b"\n"), 1) if line.strip()]


def test_an_oversized_line_is_refused_and_never_held() -> None:
    reader = Lines()
    found = reader.feed(b"first\n")
    for _ in range(40):
        found += reader.feed(b"x" * PIECE_BYTES)
        assert len(reader._rest) <= RECORD_BYTES_MAX
    found += reader.feed(b"x\nlast")
    assert found + reader.end() == [(1, b"first"), (2, None), (3, b"last")]


def test_a_line_of_the_limit_is_taken() -> None:
    line = b"x" * RECORD_BYTES_MAX
    assert Lines().feed(line + b"\n") == [(1, line)]
    assert Lines().feed(line + b"x\n") == [(1, None)]


async def stream(*pieces: bytes) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


async def unpack(*pieces: bytes) -> list[bytes]:
    return [piece async for piece in _gunzipped(stream(*pieces))]


async def test_members_are_unpacked_one_after_the_other() -> None:
    packed = gzip.compress(b"one\n") + gzip.compress(b"two\n")
    assert b"".join(await unpack(packed)) == b"one\ntwo\n"
    assert b"".join(await unpack(*[packed[i : i + 1] for i in range(len(packed))])) == b"one\ntwo\n"


async def test_a_bomb_comes_in_small_pieces() -> None:
    pieces = await unpack(gzip.compress(bytes(20 << 20)))
    assert max(map(len, pieces)) <= PIECE_BYTES
    assert sum(map(len, pieces)) == 20 << 20


@pytest.mark.parametrize(
    "packed", [b"not gzip", gzip.compress(b"hello world")[:-3], gzip.compress(b"x") + b"rest"], ids=["other", "short", "long"]
)
async def test_broken_gzip_is_named(packed: bytes) -> None:
    with pytest.raises(ApiError) as refused:
        await unpack(packed)
    assert (refused.value.status, refused.value.details[0].field) == (400, "body")
