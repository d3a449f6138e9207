"""NDJSON from files, gzip files and stdin as blocks of whole lines: memory stays flat, and no Python runs per line."""

import gzip
import sys
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, cast

from cli.core.places import Block, Refused
from cli.errors import CliError, UsageError

LINE_BYTES_MAX = 32 * 1024 * 1024
GZIP_MAGIC = b"\x1f\x8b"
BOM = b"\xef\xbb\xbf"


class _Counted:
    """A raw stream that tells how many bytes were read, for progress over compressed files."""

    def __init__(self, raw: BinaryIO, on_bytes: Callable[[int], None]) -> None:
        self._raw, self._on_bytes = raw, on_bytes

    def read(self, size: int = -1) -> bytes:
        data = self._raw.read(size)
        self._on_bytes(len(data))
        return data


def total_bytes(files: list[str]) -> int | None:
    """Bytes on disk of all files, None where one is a stream. Raises UsageError for one that isn't there."""
    total: int | None = 0
    for name in files:
        path = Path(name)
        if name == "-":
            total = None
        elif path.is_dir() or not path.exists():
            raise UsageError(f"FILE: {name} is {'a directory' if path.is_dir() else 'not there'}.")
        elif total is not None:
            total = total + path.stat().st_size if path.is_file() else None
    return total


def blocks(files: list[str], block_bytes: int, on_bytes: Callable[[int], None]) -> Iterator[Block | Refused]:
    """The lines of `files`, in order, in blocks of about `block_bytes`; a line above 32 MiB is a Refused instead of a part of a block."""
    for name in files:
        raw = sys.stdin.buffer if name == "-" else open(name, "rb")  # noqa: SIM115 (closed below; stdin must stay open)
        try:
            yield from _blocks_of(name, raw, block_bytes, on_bytes)
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise CliError(f"{name}: the gzip data is broken ({error}).", "bad_gzip") from None
        finally:
            if name != "-":
                raw.close()


def _blocks_of(name: str, raw: BinaryIO, block_bytes: int, on_bytes: Callable[[int], None]) -> Iterator[Block | Refused]:
    stream, line = _unpacked(raw, on_bytes), 1
    rest = b""
    while True:
        data = stream.read(block_bytes)
        if not data:
            break
        if line == 1 and not rest:
            data = data.removeprefix(BOM)
        cut = data.rfind(b"\n") + 1
        if not cut:
            rest += data
            if len(rest) > LINE_BYTES_MAX:
                yield Refused(name, line, "too_large", "", f"The line is longer than {LINE_BYTES_MAX} bytes.")
                rest, line = _skip_line(stream, block_bytes), line + 1
            continue
        whole, rest = rest + data[:cut], data[cut:]
        count = whole.count(b"\n")
        yield Block(name, line, count, whole)
        line += count
    if rest:
        yield Block(name, line, 1, rest + b"\n")


def _skip_line(stream: BinaryIO, block_bytes: int) -> bytes:
    """Reads past the next LF; what came after it."""
    while data := stream.read(block_bytes):
        if b"\n" in data:
            return data.partition(b"\n")[2]
    return b""


def _unpacked(raw: BinaryIO, on_bytes: Callable[[int], None]) -> BinaryIO:
    """`raw`, unpacked where it starts as gzip does (whatever its name; stdin too)."""
    counted = _Prefixed(raw.read(2), cast(BinaryIO, _Counted(raw, on_bytes)))
    on_bytes(len(counted.prefix))
    return cast(BinaryIO, gzip.GzipFile(fileobj=cast(BinaryIO, counted))) if counted.prefix == GZIP_MAGIC else cast(BinaryIO, counted)


class _Prefixed:
    """A stream with bytes put back in front of it."""

    def __init__(self, prefix: bytes, rest: BinaryIO) -> None:
        self.prefix = self._left = prefix
        self._rest = rest

    def read(self, size: int = -1) -> bytes:
        if not self._left:
            return self._rest.read(size)
        got, self._left = self._left, b""
        return got + self._rest.read(max(0, size - len(got))) if size >= 0 else got + self._rest.read()
