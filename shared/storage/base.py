"""The port that every store implements; one contract suite runs over all of them (tests/contract/storage)."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from shared.errors import WaybillError
from shared.storage.names import PIECE_BYTES


class NotThere(WaybillError):
    """No object has this key."""


@dataclass(frozen=True)
class ObjectInfo:
    """What the store knows of an object. `etag` changes when the bytes do; `modified`: when they last did, by the store's clock."""

    key: str
    bytes: int
    etag: str
    modified: datetime


class ObjectSink(Protocol):
    """An object being written. It is there, whole, after `complete`, and never before; `abort` leaves nothing."""

    def write(self, data: bytes | memoryview) -> object: ...
    def complete(self) -> None: ...
    def abort(self) -> None: ...


class FileWriter(Protocol):
    """A file being assembled in order. The file is there, whole, after `complete`, and never before; `abort` leaves nothing.

    After any error the writer can only be aborted.
    """

    def append(self, data: bytes | memoryview) -> None: ...
    def append_object(self, key: str, size: int, pieces: Iterable[bytes | memoryview]) -> None:
        """Append the `size` bytes that lie in the store under `key`; `pieces` yields the same bytes.

        All of `pieces` is pulled before anything is composed, so an iterator that raises (a wrong checksum) keeps the bytes out. A store
        that can compose moves no more than it must; at most about 16 MiB of `pieces` are kept.
        """
        ...

    def complete(self) -> None: ...
    def abort(self) -> None: ...


class ObjectStore(Protocol):
    """Keys are `/`-separated relative paths. Every call raises TransientError where the store is away, PermanentError (`store_refused`,
    `store_full`) where it refuses, NotThere for a missing key."""

    def create(self, key: str, media_type: str = "application/octet-stream") -> ObjectSink:
        """A part: it may be lost where the machine loses power at once after `complete`."""
        ...

    def assemble(self, key: str, media_type: str) -> FileWriter: ...
    def put(self, key: str, data: bytes, media_type: str = "application/octet-stream") -> None: ...
    def info(self, key: str) -> ObjectInfo: ...
    def read(self, key: str, start: int = 0, end: int | None = None, piece_bytes: int = PIECE_BYTES) -> Iterator[bytes]:
        """The bytes [start, end) in pieces of at most `piece_bytes`; all of one version of the object. NotThere comes with the first piece."""
        ...

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """What starts with `prefix` (any leading part of a key), in no promised order."""
        ...

    def delete(self, keys: Sequence[str]) -> None:
        """Missing keys are no error."""
        ...

    def delete_prefix(self, prefix: str) -> int:
        """How many were deleted. The empty prefix is refused."""
        ...

    def abort_stale(self, before: datetime) -> int:
        """Forget uploads that were begun before this instant and never completed; returns how many."""
        ...

    def count_stale(self, before: datetime) -> int:
        """How many `abort_stale` would forget."""
        ...

    def signed_url(self, key: str, seconds: int, file_name: str, media_type: str) -> str | None:
        """A link that needs no key, or None where the store has no such links."""
        ...

    def check(self) -> None:
        """Raises TransientError or PermanentError where the store can't be used."""
        ...
