"""A store that is a directory.

Everything is written under a temporary name in the same file system and renamed into place, so a reader sees the whole object or none.
Files, manifests and whatever `put` writes reach the disk (fsync of the bytes, then of the folder) before the call returns; parts don't:
they are scratch, and a part that a power cut took makes its export fail, not lie.
"""

import contextlib
import errno
import os
import secrets
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from shared.errors import PermanentError, TransientError
from shared.storage.base import NotThere, ObjectInfo
from shared.storage.names import PIECE_BYTES, TEMPORARY, checked_key, checked_prefix

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_REFUSED = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENAMETOOLONG, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.EINVAL)
_NO_COPY = (errno.EXDEV, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL)


@contextlib.contextmanager
def _sorted_errors(key: str = "") -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise NotThere(f"No object has the key {key!r}.") from error
    except OSError as error:
        name = errno.errorcode.get(error.errno or 0, "unknown error")
        if error.errno in _FULL:
            raise PermanentError("store_full", f"The store is full: {name}.") from error
        if error.errno in _REFUSED:
            raise PermanentError("store_refused", f"The store refused: {name}.") from error
        raise TransientError(f"The store: {name}", "store") from error


class DirectoryStore:
    """Objects are files below `root`, which is made on first use."""

    def __init__(self, root: str | Path) -> None:
        self._root = Path(root)
        self._temporary = self._root / TEMPORARY

    def create(self, key: str, media_type: str = "application/octet-stream") -> "_Pending":
        return self._pending(key, durable=False)

    def assemble(self, key: str, media_type: str) -> "_Pending":
        return self._pending(key, durable=True)

    def put(self, key: str, data: bytes, media_type: str = "application/octet-stream") -> None:
        pending = self._pending(key, durable=True)
        try:
            pending.write(data)
            pending.complete()
        except BaseException:
            pending.abort()
            raise

    def info(self, key: str) -> ObjectInfo:
        with _sorted_errors(key):
            return _info(key, os.stat(self._path(key)))

    def read(self, key: str, start: int = 0, end: int | None = None, piece_bytes: int = PIECE_BYTES) -> Iterator[bytes]:
        """Pieces of one version: the open descriptor outlives a rename over the name."""
        with _sorted_errors(key), open(self._path(key), "rb", buffering=0) as source:
            if start:
                source.seek(start)
            left = (1 << 63) if end is None else end - start
            while left > 0 and (piece := source.read(min(piece_bytes, left))):
                left -= len(piece)
                yield piece

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        folder, _, start = checked_prefix(prefix).rpartition("/")
        yield from self._walk(f"{folder}/" if folder else "", start)

    def delete(self, keys: Sequence[str]) -> None:
        for key in keys:
            path = self._path(key)
            with _sorted_errors(key):
                with contextlib.suppress(FileNotFoundError):
                    path.unlink()
                self._prune(path.parent)

    def delete_prefix(self, prefix: str) -> int:
        if not prefix:
            raise PermanentError("store_refused", "Deleting everything at once is refused.")
        keys = [found.key for found in self.list(prefix)]
        self.delete(keys)
        return len(keys)

    def abort_stale(self, before: datetime) -> int:
        stale = 0
        with _sorted_errors():
            for entry in self._stale(before):
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(entry.path)
                    stale += 1
        return stale

    def count_stale(self, before: datetime) -> int:
        with _sorted_errors():
            return sum(1 for _ in self._stale(before))

    def _stale(self, before: datetime) -> Iterator["os.DirEntry[str]"]:
        if not self._temporary.is_dir():
            return
        for entry in list(os.scandir(self._temporary)):
            with contextlib.suppress(FileNotFoundError):
                if entry.stat().st_mtime < before.timestamp():
                    yield entry

    def signed_url(self, key: str, seconds: int, file_name: str, media_type: str) -> str | None:
        return None

    def check(self) -> None:
        with _sorted_errors():
            self._temporary.mkdir(parents=True, exist_ok=True)
            if not os.access(self._temporary, os.W_OK | os.X_OK):
                raise PermanentError("store_refused", "The store's directory can't be written.")

    def _path(self, key: str) -> Path:
        return self._root / checked_key(key)

    def _pending(self, key: str, durable: bool) -> "_Pending":
        with _sorted_errors(key):
            return _Pending(self._path(key), self._temporary, self._root, durable)

    def _walk(self, folder: str, start: str) -> Iterator[ObjectInfo]:
        with _sorted_errors():
            try:
                entries = list(os.scandir(self._root / folder))
            except (FileNotFoundError, NotADirectoryError):
                return
        named = sorted(
            (os.fsencode(e.name + ("/" if e.is_dir(follow_symlinks=False) else "")), e) for e in entries if e.name.startswith(start)
        )
        for _, entry in named:
            key = folder + entry.name
            if key == TEMPORARY:
                continue
            if entry.is_dir(follow_symlinks=False):
                yield from self._walk(f"{key}/", "")
            elif entry.is_file(follow_symlinks=False):
                with contextlib.suppress(FileNotFoundError):
                    yield _info(key, entry.stat())

    def _prune(self, folder: Path) -> None:
        """Remove folders that are empty now; one that another process fills again meanwhile is made again by it (`_Pending.complete`)."""
        while folder != self._root:
            try:
                folder.rmdir()
            except FileNotFoundError:
                pass
            except OSError:
                return
            folder = folder.parent


class _Pending:
    """An object or file that is not whole yet: a temporary file."""

    def __init__(self, path: Path, temporary: Path, root: Path, durable: bool) -> None:
        self._path, self._root, self._durable = path, root, durable
        self._name = temporary / secrets.token_hex(16)
        self._length = 0
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        try:
            self._file: int | None = os.open(self._name, flags, 0o640)
        except FileNotFoundError:
            temporary.mkdir(parents=True, exist_ok=True)
            self._file = os.open(self._name, flags, 0o640)

    def write(self, data: bytes | memoryview) -> None:
        view = memoryview(data).cast("B")
        with _sorted_errors():
            while view:
                written = os.write(self._open_file(), view)
                self._length += written
                view = view[written:]

    append = write

    def append_object(self, key: str, size: int, pieces: Iterable[bytes | memoryview]) -> None:
        for _ in pieces:  # only the caller looks at them: the kernel moves the bytes
            pass
        with _sorted_errors(key):
            source = os.open(self._root / checked_key(key), os.O_RDONLY | os.O_CLOEXEC)
            try:
                if os.fstat(source).st_size != size:
                    raise TransientError("The part changed while it was appended", "store")
                self._copy(source, size)
            finally:
                os.close(source)

    def complete(self) -> None:
        with _sorted_errors():
            if self._durable:
                os.fsync(self._open_file())
            self._close()
            made = self._rename()
            if self._durable:
                _sync_folders(self._path.parent, self._root if made else self._path.parent)

    def abort(self) -> None:
        self._close()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._name)

    def _rename(self) -> bool:
        """Whether a folder had to be made; another process may remove an empty one at any moment."""
        made = False
        while True:
            try:
                os.rename(self._name, self._path)
                return made
            except FileNotFoundError:
                if not self._name.exists():
                    raise TransientError("The upload was removed as stale", "store") from None
            with contextlib.suppress(FileNotFoundError):
                self._path.parent.mkdir(parents=True, exist_ok=True)
                made = True

    def _copy(self, source: int, size: int) -> None:
        target, done = self._open_file(), 0
        while done < size:
            try:
                copied = os.copy_file_range(source, target, size - done, done, self._length)
            except OSError as error:
                if error.errno not in _NO_COPY:
                    raise
                copied = os.pwrite(target, os.pread(source, PIECE_BYTES, done), self._length)
            if copied == 0:
                raise TransientError("The part changed while it was appended", "store")
            done += copied
            self._length += copied
        os.lseek(target, self._length, os.SEEK_SET)

    def _open_file(self) -> int:
        if self._file is None:
            raise RuntimeError("the object is complete or aborted")
        return self._file

    def _close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None


def _info(key: str, stat: os.stat_result) -> ObjectInfo:
    etag = f"{stat.st_mtime_ns:x}-{stat.st_size:x}-{stat.st_ino:x}"
    return ObjectInfo(key, stat.st_size, etag, datetime.fromtimestamp(stat.st_mtime, UTC))


def _sync_folders(folder: Path, root: Path) -> None:
    """A name is on disk once its folder is; a folder that was just made, once its parent is too."""
    for each in (folder, *folder.parents):
        descriptor = os.open(each, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        if each == root:
            return
