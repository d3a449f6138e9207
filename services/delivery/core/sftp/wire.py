"""SFTP version 3 on the wire (draft-ietf-secsh-filexfer-02), as much of it as a server that gives and takes nothing needs. What changes things is recognised, and refused."""

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import IntEnum

VERSION = 3
MESSAGE_BYTES_MAX = 64 * 1024  # of a request: nothing that we take is longer
READ_BYTES_MAX = 256 * 1024 - 1024  # of an answer: with its head it stays below the 256 KiB that clients take as a message
HANDLE_BYTES = 4
DIRECTORY, FILE = 0o040555, 0o100444  # type and permissions: everyone may read, nobody write


class Code(IntEnum):
    """Of an SSH_FXP_STATUS."""

    OK = 0
    EOF = 1
    NO_SUCH_FILE = 2
    PERMISSION_DENIED = 3
    FAILURE = 4
    BAD_MESSAGE = 5
    OP_UNSUPPORTED = 8


class BadMessage(ValueError):
    """What came is no SFTP; the text says why."""


@dataclass(frozen=True, slots=True)
class Init:
    version: int


@dataclass(frozen=True, slots=True)
class Open:
    id: int
    path: bytes
    flags: int

    @property
    def only_reads(self) -> bool:
        return self.flags == 1  # SSH_FXF_READ


@dataclass(frozen=True, slots=True)
class Close:
    id: int
    handle: bytes


@dataclass(frozen=True, slots=True)
class Read:
    id: int
    handle: bytes
    offset: int
    length: int


@dataclass(frozen=True, slots=True)
class Stat:
    """STAT and LSTAT: there are no links."""

    id: int
    path: bytes


@dataclass(frozen=True, slots=True)
class Fstat:
    id: int
    handle: bytes


@dataclass(frozen=True, slots=True)
class Opendir:
    id: int
    path: bytes


@dataclass(frozen=True, slots=True)
class Readdir:
    id: int
    handle: bytes


@dataclass(frozen=True, slots=True)
class Realpath:
    id: int
    path: bytes


@dataclass(frozen=True, slots=True)
class Limits:
    """The extension limits@openssh.com: with it clients ask for more at a time."""

    id: int


@dataclass(frozen=True, slots=True)
class Changing:
    """Whatever would change something."""

    id: int


@dataclass(frozen=True, slots=True)
class Unknown:
    """A request that we don't know; the protocol wants an answer all the same."""

    id: int


Request = Init | Open | Close | Read | Stat | Fstat | Opendir | Readdir | Realpath | Limits | Changing | Unknown

_INIT, _VERSION, _OPEN, _CLOSE, _READ, _LSTAT, _FSTAT, _OPENDIR, _READDIR, _REALPATH, _STAT = 1, 2, 3, 4, 5, 7, 8, 11, 12, 16, 17
_CHANGING = frozenset({6, 9, 10, 13, 14, 15, 18, 20})  # write, setstat, fsetstat, remove, mkdir, rmdir, rename, symlink
_EXTENDED, _STATUS, _HANDLE, _DATA, _NAME, _ATTRS, _EXTENDED_REPLY = 200, 101, 102, 103, 104, 105, 201
_LIMITS = b"limits@openssh.com"
_CHANGING_EXTENSIONS = frozenset(
    {b"posix-rename@openssh.com", b"hardlink@openssh.com", b"fsync@openssh.com", b"lsetstat@openssh.com", b"copy-data"}
)
_ATTRIBUTES = 0x1 | 0x2 | 0x4 | 0x8  # size, owner, permissions, times
_EPOCH_MAX = 2**32 - 1


class Frames:
    """Cuts what comes in into requests. At most one that isn't whole yet is kept, and what `feed` was given and nobody has asked for."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._at = 0

    def feed(self, data: bytes) -> None:
        if self._at:
            del self._buffer[: self._at]
            self._at = 0
        self._buffer += data

    @property
    def waiting(self) -> int:
        """Bytes that nobody has asked for."""
        return len(self._buffer) - self._at

    def next(self) -> Request | None:
        """The next request, None where more must come first. Raises BadMessage."""
        if self.waiting < 4:
            return None
        length = int.from_bytes(self._buffer[self._at : self._at + 4], "big")
        if not 1 <= length <= MESSAGE_BYTES_MAX:
            raise BadMessage(f"a message of {length} bytes")
        end = self._at + 4 + length
        if len(self._buffer) < end:
            return None
        message = bytes(self._buffer[self._at + 4 : end])
        self._at = end
        try:
            return _parse(message)
        except (struct.error, IndexError):
            raise BadMessage("a message cut short") from None


def _parse(message: bytes) -> Request:
    kind = message[0]
    (number,) = struct.unpack_from(">I", message, 1)
    if kind == _READ:
        handle, rest = _string(message, 5)
        return Read(number, handle, *struct.unpack_from(">QI", message, rest))
    if kind == _INIT:
        return Init(number)
    if kind in _CHANGING:
        return Changing(number)
    if kind not in _ONE_STRING and kind not in (_OPEN, _EXTENDED):
        return Unknown(number)
    text, rest = _string(message, 5)
    if kind == _OPEN:
        return Open(number, text, struct.unpack_from(">I", message, rest)[0])
    if kind == _EXTENDED:
        return Limits(number) if text == _LIMITS else Changing(number) if text in _CHANGING_EXTENSIONS else Unknown(number)
    return _ONE_STRING[kind](number, text)


_ONE_STRING: dict[int, Callable[[int, bytes], Request]] = {
    _CLOSE: Close, _LSTAT: Stat, _STAT: Stat, _FSTAT: Fstat, _OPENDIR: Opendir, _READDIR: Readdir, _REALPATH: Realpath,
}  # fmt: skip


def _string(message: bytes, at: int) -> tuple[bytes, int]:
    (length,) = struct.unpack_from(">I", message, at)
    end = at + 4 + length
    if end > len(message):
        raise IndexError
    return message[at + 4 : end], end


# ---- answers


@dataclass(frozen=True, slots=True)
class Entry:
    """A file or a folder as a client sees it."""

    name: str
    bytes: int
    modified: datetime
    is_folder: bool = False


def _framed(kind: int, *pieces: bytes) -> bytes:
    length = 1 + sum(map(len, pieces))
    return b"".join((struct.pack(">IB", length, kind), *pieces))


def _text(value: bytes) -> bytes:
    return struct.pack(">I", len(value)) + value


def version() -> bytes:
    """We say what we have; a client that knows newer ones comes down to it."""
    return _framed(_VERSION, struct.pack(">I", VERSION), _text(_LIMITS), _text(b"1"))


def status(number: int, code: Code, message: str = "") -> bytes:
    return _framed(_STATUS, struct.pack(">II", number, code), _text(message.encode()), _text(b"en"))


def handle(number: int, value: bytes) -> bytes:
    return _framed(_HANDLE, struct.pack(">I", number), _text(value))


def data(number: int, pieces: Sequence[bytes | memoryview]) -> bytes:
    """`pieces` in order are the bytes that were asked for; copied once."""
    size = sum(map(len, pieces))
    return b"".join((struct.pack(">IBII", 9 + size, _DATA, number, size), *pieces))


def attributes(number: int, entry: Entry) -> bytes:
    return _framed(_ATTRS, struct.pack(">I", number), _attributes(entry))


def names(number: int, entries: Sequence[Entry]) -> bytes:
    pieces = [struct.pack(">II", number, len(entries))]
    for each in entries:
        pieces += (_text(each.name.encode()), _text(_long(each).encode()), _attributes(each))
    return _framed(_NAME, *pieces)


def real_path(number: int, path: str) -> bytes:
    """The answer to REALPATH: one name without attributes."""
    return _framed(_NAME, struct.pack(">II", number, 1), _text(path.encode()), _text(path.encode()), struct.pack(">I", 0))


def limits(number: int, handles: int) -> bytes:
    return _framed(_EXTENDED_REPLY, struct.pack(">IQQQQ", number, MESSAGE_BYTES_MAX, READ_BYTES_MAX, 0, handles))


def _attributes(entry: Entry) -> bytes:
    mode = DIRECTORY if entry.is_folder else FILE
    at = min(max(int(entry.modified.timestamp()), 0), _EPOCH_MAX)
    return struct.pack(">IQIIIII", _ATTRIBUTES, entry.bytes, 0, 0, mode, at, at)


def _long(entry: Entry) -> str:
    """As `ls -l` would show it; people read it, programs take the attributes."""
    kind = "dr-xr-xr-x" if entry.is_folder else "-r--r--r--"
    at = entry.modified.astimezone(UTC)
    return f"{kind}    1 waybill  waybill  {entry.bytes:>12} {at:%b %d  %Y} {entry.name}"
