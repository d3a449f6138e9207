"""Records of a ZIP archive that is written front to back, and stored deflate blocks. Source: PKWARE's APPNOTE 6.3.9, RFC 1951.

Dates are fixed (1980-01-01), so that the same content gives the same bytes. An entry whose size isn't known when it begins has it behind (a data
descriptor); sizes of 4 GiB and more are written as ZIP64.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from isal import isal_zlib

_DATE = 0x21  # 1980-01-01
_STORED, _DEFLATED = 0, 8
_SIZE_FOLLOWS = 8
_MAX32 = 0xFFFFFFFF
_BLOCK_BYTES = 0xFFFF


@dataclass(frozen=True)
class Entry:
    """A file in the archive; `offset` is where its local header begins."""

    name: str
    offset: int
    crc32: int
    size: int  # unpacked
    packed: int
    streamed: bool = False

    @property
    def large(self) -> bool:
        return self.size >= _MAX32 or self.packed >= _MAX32


def stored(name: str, data: bytes, offset: int) -> tuple[Entry, bytes]:
    """A small file as it is, and its bytes with the local header."""
    entry = Entry(name, offset, isal_zlib.crc32(data), len(data), len(data))
    return entry, _local(name, 0, _STORED, entry.crc32, len(data)) + data


def opening(name: str) -> bytes:
    """The local header of a deflated entry whose size follows."""
    return _local(name, _SIZE_FOLLOWS, _DEFLATED, 0, 0)


def descriptor(entry: Entry) -> bytes:
    """What follows a streamed entry's data."""
    return b"PK\x07\x08" + struct.pack("<LQQ" if entry.large else "<LLL", entry.crc32, entry.packed, entry.size)


def directory(entries: Sequence[Entry], offset: int) -> bytes:
    """The end of the archive; `offset` is where it begins."""
    listed = b"".join(_central(entry) for entry in entries)
    size, count = len(listed), len(entries)
    if offset < _MAX32:
        return listed + struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, count, count, size, offset, 0)
    end64 = struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, count, count, size, offset)
    locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, offset + size, 1)
    return listed + end64 + locator + struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, count, count, size, _MAX32, 0)


def blocks(data: bytes, last: bool) -> bytes:
    """`data` as stored deflate blocks, which end at a byte; `last` ends the stream."""
    pieces = [data[i : i + _BLOCK_BYTES] for i in range(0, len(data), _BLOCK_BYTES)] or [b""]
    made = [struct.pack("<BHH", last and i == len(pieces) - 1, len(p), len(p) ^ 0xFFFF) + p for i, p in enumerate(pieces)]
    return b"".join(made)


def _local(name: str, flags: int, method: int, crc32: int, size: int) -> bytes:
    encoded = name.encode("ascii")
    return struct.pack("<4s5H3L2H", b"PK\x03\x04", 20, flags, method, 0, _DATE, crc32, size, size, len(encoded), 0) + encoded


def _central(entry: Entry) -> bytes:
    large = [value for value in (entry.size, entry.packed, entry.offset) if value >= _MAX32]
    extra = struct.pack(f"<2H{len(large)}Q", 1, 8 * len(large), *large) if large else b""
    needed, name = (45 if large else 20), entry.name.encode("ascii")
    flags, method = (_SIZE_FOLLOWS, _DEFLATED) if entry.streamed else (0, _STORED)
    size, packed, offset = (min(value, _MAX32) for value in (entry.size, entry.packed, entry.offset))
    fields = (needed, needed, flags, method, 0, _DATE, entry.crc32, packed, size, len(name), len(extra), 0, 0, 0, 0, offset)
    return struct.pack("<4s6H3L5H2L", b"PK\x01\x02", *fields) + name + extra
