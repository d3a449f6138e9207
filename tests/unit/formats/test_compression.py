"""The same text gives the same bytes, wherever in memory it is compressed."""

import random
import zlib
from collections.abc import Callable
from typing import Any

import pytest

from shared.formats.compression import Evenly, compressor
from shared.formats.xlsx import Fragment

_RANDOM = random.Random(7)
# What isal 1.9's assembly does at a text's beginning (shared/formats/compression.py says where): it hashes its object's address, which lies so far behind Python's.
_BEHIND, _SLOTS = 64, 0x1FFF


def _crc32c(number: int) -> int:
    for _ in range(32):
        number = number >> 1 ^ (0x82F63B78 if number & 1 else 0)
    return number


def _slot(made: Any) -> int:
    return _crc32c((id(made._inner) + _BEHIND >> 16) & 0xFFFFFFFF) & _SLOTS


def _text(slot: int) -> bytes:
    """A text of which four bytes at its beginning, and again later, have the slot."""
    fours = iter(lambda: bytes(_RANDOM.choices(b"abcdefghijklmnopqrstuvwxyz<>/ =", k=4)), b"")
    four = next(each for each in fours if _crc32c(int.from_bytes(each, "little")) & _SLOTS == slot)
    numbers = b"".join(b"%d;" % n for n in range(8000))
    return b"01" + four + numbers[:200] + four + numbers[200:]


def _packed(made: Any, text: bytes) -> bytes:
    return bytes(made.compress(text)) + made.flush()


@pytest.mark.parametrize("make, window_bits", [(Fragment, -15), (lambda: compressor("gzip"), 31)], ids=["xlsx", "gzip"])
def test_what_is_written_does_not_hang_on_an_address(make: Callable[[], Evenly], window_bits: int) -> None:
    for _ in range(5):
        first, *others = [make() for _ in range(9)]  # at the same time, so at other addresses
        slot = _slot(first)
        text = _text(slot)
        packed = _packed(first, text)
        assert zlib.decompressobj(window_bits).decompress(packed) == text
        elsewhere = [each for each in others if _slot(each) != slot]
        assert elsewhere, "all at one place"
        for other in elsewhere:
            assert _packed(other, text) == packed


@pytest.mark.parametrize("size", [0, 1, 287, 288, 289, 5000, 300_000])
def test_who_inflates_needs_to_know_nothing(size: int) -> None:
    text = "".join(_RANDOM.choices("aé€😀ÿþ\x7f\x80\u07ff\uffff", k=size)).encode()
    for make, window_bits in ((Fragment, -15), (lambda: compressor("gzip"), 31)):
        assert zlib.decompressobj(window_bits).decompress(_packed(make(), text)) == text
