"""Compression whose bytes depend on nothing but the content. Members (gzip) and frames (zstd) concatenate."""

from typing import Protocol, cast

import zstandard
from isal import isal_zlib

SUFFIXES = {"none": "", "gzip": ".gz", "zstd": ".zst"}
_GZIP = 16 + isal_zlib.MAX_WBITS  # a gzip header, whose mtime is 0
_GZIP_LEVEL, _ZSTD_LEVEL = 1, 3


class Compressor(Protocol):
    """What zlib's and zstandard's objects have in common."""

    def compress(self, data: bytes | memoryview, /) -> bytes: ...

    def flush(self) -> bytes: ...


class _Plain:
    def compress(self, data: bytes | memoryview, /) -> bytes:
        return data  # type: ignore[return-value]  # as it is: no copy

    def flush(self) -> bytes:
        return b""


def compressor(compression: str) -> Compressor:
    """A compressor for one part. Raises KeyError where `compression` is none of none, gzip, zstd."""
    if compression == "none":
        return _Plain()
    if compression == "gzip":
        return cast(Compressor, isal_zlib.compressobj(_GZIP_LEVEL, isal_zlib.DEFLATED, _GZIP))
    if compression == "zstd":
        return cast(Compressor, zstandard.ZstdCompressor(level=_ZSTD_LEVEL).compressobj())
    raise KeyError(compression)


def compress(compression: str, data: bytes) -> bytes:
    """`data` as a member of its own; nothing stays nothing."""
    if not data:
        return b""
    member = compressor(compression)
    return member.compress(data) + member.flush()
