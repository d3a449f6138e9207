"""A part's bytes as they stream by: the last separator is held back, the rest is compressed, hashed and counted."""

import hashlib
from dataclasses import dataclass
from typing import Protocol

from isal import isal_zlib

from shared.formats.compression import compressor


class ByteSink(Protocol):
    """Where a part goes: an object of the store, a file, a buffer."""

    def write(self, data: bytes | memoryview, /) -> object: ...


@dataclass(frozen=True)
class PartResult:
    """A part as written. `bytes` and checksums are of the stored (compressed) bytes; keys are JSON arrays `["<time>","<id>"]`, empty without rows."""

    rows: int
    bytes: int
    sha256: str
    crc32: int
    first_key: str = ""
    last_key: str = ""


class PartWriter:
    """Takes the text of rows, each with `separator` behind, and writes a part without the last one."""

    def __init__(self, sink: ByteSink, compression: str, separator: bytes) -> None:
        self._sink, self._compressor, self._separator = sink, compressor(compression), separator
        self._hash, self._crc32, self._bytes = hashlib.sha256(), 0, 0
        self._held: memoryview | None = None

    def write(self, text: memoryview) -> None:
        """The next rows' text; must stay valid until the next call."""
        if not self._separator:
            self._put(self._compressor.compress(text))
            return
        if self._held is not None:
            self._put(self._compressor.compress(self._held))
        self._held = text

    def finish(self, rows: int, first_key: str, last_key: str) -> PartResult:
        if self._held is not None:
            self._put(self._compressor.compress(self._held[: len(self._held) - len(self._separator)]))
            self._held = None
        if rows:
            self._put(self._compressor.flush())
        return PartResult(rows, self._bytes, self._hash.hexdigest(), self._crc32, first_key, last_key)

    def _put(self, data: bytes | memoryview) -> None:
        if len(data):
            self._hash.update(data)
            self._crc32 = isal_zlib.crc32(data, self._crc32)
            self._bytes += len(data)
            self._sink.write(data)
