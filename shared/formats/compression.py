"""Compression whose bytes depend on nothing but the content. Members (gzip) and frames (zstd) concatenate."""

from typing import Any, Protocol, cast

import zstandard
from isal import isal_zlib

SUFFIXES = {"none": "", "gzip": ".gz", "zstd": ".zst"}
MEDIA_TYPES = {"gzip": "application/gzip", "zstd": "application/zstd"}  # of a compressed file (RFC 6713, RFC 8878)
_GZIP = 16 + isal_zlib.MAX_WBITS  # a gzip header, whose mtime is 0
_GZIP_LEVEL, _ZSTD_LEVEL = 1, 3
_PIECE_BYTES = 1 << 18
# What isal writes hangs on where its object lies in memory, unless something stands before the text: at a text's very beginning its assembly hashes the object's
# address (igzip_icf_body_h1_gr_bt.asm, `.write_first_byte`). So a byte stands there which no text in UTF-8 has, that nothing refers to it: who inflates needs no dictionary.
_BEFORE = b"\xff"


class Compressor(Protocol):
    """What a part's text goes through."""

    def compress(self, data: bytes | memoryview, /) -> bytes | memoryview: ...

    def flush(self) -> bytes: ...

    def note(self, rows: int) -> bytes | None:
        """What assembly has to know of these `rows`, once they are flushed."""
        ...


class _Plain:
    def compress(self, data: bytes | memoryview, /) -> bytes | memoryview:
        return data  # as it is: no copy

    def flush(self) -> bytes:
        return b""

    def note(self, rows: int) -> bytes | None:
        return None


class Evenly:
    """Feeds a compressor pieces of one size, whatever the sizes that come: what isal writes depends on where its input was cut."""

    def __init__(self, inner: Any) -> None:
        self._inner, self._held = inner, bytearray()

    def compress(self, data: bytes | memoryview, /) -> bytes:
        view, out = memoryview(data), []
        if self._held:
            taken = view[: _PIECE_BYTES - len(self._held)]
            self._held += taken
            view = view[len(taken) :]
            if len(self._held) == _PIECE_BYTES:
                out.append(self._inner.compress(bytes(self._held)))
                self._held.clear()
        while len(view) >= _PIECE_BYTES:
            out.append(self._inner.compress(view[:_PIECE_BYTES]))
            view = view[_PIECE_BYTES:]
        self._held += view
        return b"".join(out)

    def flush(self) -> bytes:
        return cast(bytes, self._inner.compress(bytes(self._held)) + self.end())

    def end(self) -> bytes:
        return cast(bytes, self._inner.flush())

    def note(self, rows: int) -> bytes | None:
        return None


def deflater(level: int, window_bits: int) -> Any:
    """isal's compressor, as zlib's, of texts in UTF-8."""
    return isal_zlib.compressobj(level, isal_zlib.DEFLATED, window_bits, zdict=_BEFORE)


def compressor(compression: str) -> Compressor:
    """A compressor for one part. Raises KeyError where `compression` is none of none, gzip, zstd."""
    if compression == "none":
        return _Plain()
    if compression == "gzip":
        return Evenly(deflater(_GZIP_LEVEL, _GZIP))
    if compression == "zstd":
        return Evenly(zstandard.ZstdCompressor(level=_ZSTD_LEVEL).compressobj())
    raise KeyError(compression)


def compress(compression: str, data: bytes) -> bytes:
    """`data` as a member of its own; nothing stays nothing."""
    if not data:
        return b""
    member = compressor(compression)
    return bytes(member.compress(data)) + member.flush()
