"""Parts as they stream by."""

import gzip
import hashlib

import numpy as np
import pyarrow as pa
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.errors import PermanentError
from shared.formats.compression import compress, compressor
from shared.formatting.batches import in_order, text_bytes
from shared.formatting.parts import PartWriter


class Buffer(bytearray):
    def write(self, data: bytes | memoryview, /) -> None:
        self.extend(data)


def part(texts: list[str], compression: str, separator: str) -> tuple[bytes, str]:
    sink = Buffer()
    writer = PartWriter(sink, compressor(compression), separator.encode())
    for text in texts:
        writer.write(memoryview((text + separator).encode()))
    result = writer.finish(len(texts), "first", "last")
    assert (result.rows, result.bytes) == (len(texts), len(sink))
    assert result.sha256 == hashlib.sha256(sink).hexdigest()
    return bytes(sink), result.sha256


@given(st.lists(st.text(max_size=50), max_size=8), st.sampled_from(["", ",\n", "\n"]))
def test_a_part_is_its_rows_with_separators_between(texts: list[str], separator: str) -> None:
    whole = separator.join(texts).encode()
    assert part(texts, "none", separator)[0] == whole
    packed, sha256 = part(texts, "gzip", separator)
    assert (gzip.decompress(packed) if texts else packed) == whole
    assert part(texts, "gzip", separator)[1] == sha256
    packed, sha256 = part(texts, "zstd", separator)
    assert (zstandard.ZstdDecompressor().decompressobj().decompress(packed) if texts else packed) == whole
    assert part(texts, "zstd", separator)[1] == sha256


def test_members_concatenate_and_carry_no_time() -> None:
    packed = compress("gzip", b"head") + compress("gzip", b"") + compress("gzip", b"tail")
    assert gzip.decompress(packed) == b"headtail"
    assert packed[4:8] == b"\0\0\0\0"
    assert compress("none", b"x") == b"x"
    with pytest.raises(KeyError):
        compress("lzma", b"x")


@settings(deadline=None)  # pyarrow imports pandas for its first array of numpy's
@given(st.integers(0, 60), st.integers(1, 9), st.integers(1, 12), st.randoms(use_true_random=False))
def test_rows_come_back_in_order(count: int, width: int, batch: int, random: object) -> None:
    numbers = np.arange(count)
    for start in range(0, count, width):  # out of order within a window, as hash joins do it
        random.shuffle(view := list(numbers[start : start + width]))  # type: ignore[attr-defined]
        numbers[start : start + width] = view
    batches = [pa.record_batch({"_n": numbers[i : i + batch]}) for i in range(0, count, batch)]
    assert [n for b in in_order(batches) for n in b.column("_n").to_pylist()] == list(range(count))


@pytest.mark.parametrize("numbers", [[0, 2], [1], [0, 0, 1], [0, 1, 1]])
def test_a_row_that_is_missing_or_there_twice_is_an_error(numbers: list[int]) -> None:
    with pytest.raises(PermanentError):
        list(in_order([pa.record_batch({"_n": pa.array(numbers, pa.int64())})]))


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string()])
def test_text_bytes_of_a_slice(kind: pa.DataType) -> None:
    column = pa.array(["a", "", "bcé", "d"], kind)
    assert bytes(text_bytes(column)) == "abcéd".encode()
    assert bytes(text_bytes(column.slice(2, 1))) == "bcé".encode()
    assert bytes(text_bytes(column.slice(1, 0))) == b""
    assert bytes(text_bytes(pa.array([], kind))) == b""
