"""A request's body as lines, read as a stream: memory stays flat, and what is too large dies early."""

import zlib
from collections.abc import AsyncIterator

from fastapi import Request

from services.ingest.core.types import RECORD_BYTES_MAX
from shared.errors import ApiError, Detail, invalid_request, too_large

UNPACKED_BYTES_MAX = 64 << 20
PIECE_BYTES = 256 * 1024
_GZIP = 31  # zlib's window bits for gzip alone
NDJSON, PACKED = "application/x-ndjson", "application/gzip"
_PLAIN_TYPES = (
    "", NDJSON, "application/ndjson", "application/jsonl", "application/x-jsonlines", "application/json",
    "application/octet-stream", "text/plain", "application/x-www-form-urlencoded",
)  # fmt: skip


def is_gzip(request: Request) -> bool:
    """Whether the body is packed. 415 for a content type or encoding that isn't taken."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if kind not in (*_PLAIN_TYPES, PACKED, "application/x-gzip"):
        raise ApiError(415, "unsupported_media_type", "The body must be application/x-ndjson, or application/gzip.")
    if encoding not in ("identity", "", "gzip", "x-gzip"):
        raise ApiError(415, "unsupported_media_type", "The content encoding must be gzip, or none.")
    return encoding in ("gzip", "x-gzip") or kind in (PACKED, "application/x-gzip")


async def unpacked(request: Request, gzip: bool) -> AsyncIterator[bytes]:
    """The body's bytes in pieces. 413 as soon as there are more than 64 MiB, 400 for broken gzip."""
    declared = request.headers.get("content-length", "")
    if not gzip and declared.isdigit() and int(declared) > UNPACKED_BYTES_MAX:
        raise _too_large()
    total = 0
    async for piece in _gunzipped(request.stream()) if gzip else request.stream():
        total += len(piece)
        if total > UNPACKED_BYTES_MAX:
            raise _too_large()
        yield piece


def _too_large() -> ApiError:
    error = too_large(f"The body is larger than {UNPACKED_BYTES_MAX} bytes, unpacked; send it in several requests.")
    error.headers["Connection"] = "close"
    return error


async def _gunzipped(stream: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Unpacks members one after the other, never more than PIECE_BYTES at a time."""
    unpacker = zlib.decompressobj(_GZIP)
    begun = False
    async for packed in stream:
        while packed:
            begun = True
            try:
                piece = unpacker.decompress(packed, PIECE_BYTES)
            except zlib.error as error:
                raise invalid_request(Detail("body", "not valid gzip")) from error
            yield piece
            packed = unpacker.unconsumed_tail
            if unpacker.eof:
                packed = unpacker.unused_data
                unpacker = zlib.decompressobj(_GZIP)
                begun = False
    if begun:
        raise invalid_request(Detail("body", "the gzip data ends too early"))


class Lines:
    """Cuts pieces into numbered lines. Blank lines count but are left out; an oversized line comes as null and is never held."""

    def __init__(self) -> None:
        self._rest = b""
        self._number = 0
        self._skips = False

    def feed(self, piece: bytes) -> list[tuple[int, bytes | None]]:
        """The lines that end in this piece."""
        *ended, self._rest = (self._rest + piece).split(b"\n")
        lines = self._numbered(ended)
        if len(self._rest) > RECORD_BYTES_MAX:
            self._rest, self._skips = b"", True
        return lines

    def end(self) -> list[tuple[int, bytes | None]]:
        """The last line, where no line end follows it."""
        return self._numbered([self._rest])

    def _numbered(self, ended: list[bytes]) -> list[tuple[int, bytes | None]]:
        first = self._number + 1
        self._number += len(ended)
        lines: list[tuple[int, bytes | None]] = [
            (number, line if len(line) <= RECORD_BYTES_MAX else None)
            for number, line in enumerate(ended, first)
            if line and not line.isspace()
        ]
        if self._skips and ended:
            self._skips = False
            lines = [(first, None), *[line for line in lines if line[0] != first]]
        return lines
