"""One file on its way into the store: feeds each part once through the checksums and appends it. All calls block."""

import hashlib
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from isal import isal_zlib

from services.delivery.core.assembly import Append, Layout, Progress, add_part, close
from services.delivery.core.manifest import encrypted_entry, file_entry
from services.delivery.protecting import ProtectedWriter, protecting
from shared.errors import PermanentError
from shared.formats import registry as formats
from shared.formats.base import Slice
from shared.messages import AssemblyPart
from shared.storage import FileWriter, NotThere, ObjectStore


@dataclass(frozen=True)
class FileToWrite:
    """Where a file goes, what it is called, and how it is laid out."""

    name: str
    media_type: str
    key: str
    format: str
    layout: Layout
    password: str | None = field(default=None, repr=False)  # encrypts it


@dataclass(frozen=True)
class Written:
    """A file that is whole in the store."""

    rows: int
    bytes: int
    sha256: str
    entry: str
    key: str  # where it lies: an encrypted file in a place of its own, for no two attempts give the same


class OpenFile:
    """Not thread-safe: one call at a time. After an error only `abort` may be called; the file then starts again with a new OpenFile."""

    def __init__(self, store: ObjectStore, file: FileToWrite) -> None:
        self._store, self._file = store, file
        self._writer: FileWriter | None = None
        self._protected: ProtectedWriter | None = None
        self.key = file.key if file.password is None else _own_place(file.key)
        self._sha256 = hashlib.sha256()
        self._bytes = 0
        self._parts: list[AssemblyPart] = []  # with rows
        self._regions: list[tuple[int, AssemblyPart]] = []  # what the manifest shows, each with the offset where it begins
        self._behind: Iterator[bytes | Slice] | None = None
        self._pending = b""  # of what stands behind the parts: not written yet
        self.progress = Progress()

    def add(self, parts: Sequence[AssemblyPart]) -> None:
        """Append the next parts. Raises PermanentError `part_corrupt`, `part_missing`, or what the store raises."""
        for part in parts:
            steps, after = add_part(self.progress, self._file.layout, part)
            for step in steps:
                if isinstance(step, Append):
                    self._append(step.data)
                else:
                    self._take(part)
            self.progress = after

    def more(self, bytes_max: int | None = None) -> bool:
        """Once the last part is in: append what stands behind it, about so many bytes; whether there is more. Raises as `add` does."""
        until = None if bytes_max is None else self._bytes + bytes_max
        if self._behind is None:
            self._behind = self._rest()
        for piece in self._behind:
            if isinstance(piece, bytes):
                self._pending += piece
                continue
            self._between(self._pending)
            self._pending = b""
            self._slice(self._parts[piece.part], piece, self._number())
            if until is not None and self._bytes >= until:
                return True
        return False

    def complete(self) -> Written:
        """Write what ends the file. It is in the store, whole, on return."""
        self.more()
        layout = replace(self._file.layout, tail=self._pending)
        for step in close(self.progress, layout):
            if isinstance(step, Append):
                self._append(step.data)
        self._open().complete()
        rows, name, media_type = self.progress.rows, self._file.name, self._file.media_type
        if self._protected is not None:
            size, sha256 = self._protected.size, self._protected.sha256
            entry = encrypted_entry(name, media_type, rows, size, sha256, self._parts)
            return Written(rows, size, sha256, entry, self.key)
        sha256 = self._sha256.hexdigest()
        entry = file_entry(name, media_type, rows, self._bytes, sha256, self._regions, layout)
        return Written(rows, self._bytes, sha256, entry, self.key)

    def abort(self) -> None:
        if self._writer is not None:
            self._writer.abort()

    def _rest(self) -> Iterator[bytes | Slice]:
        """What stands behind the last part. Raises PermanentError `upgrade_unfinished` where a process of before left out a note."""
        layout, fmt = self._file.layout, formats.get(self._file.format)
        if not self._parts or not fmt.binary or fmt.document:
            return iter((layout.tail,))
        notes = [part.note for part in self._parts if part.note is not None]
        if len(notes) < len(self._parts):
            raise PermanentError("upgrade_unfinished", f"No {fmt.name} file can be made while processes of an older release run.")
        return fmt.behind(layout.tail, notes)

    def _take(self, part: AssemblyPart) -> None:
        """The part, or what of it stands here."""
        self._parts.append(part)
        place = formats.get(self._file.format).first(part.note)
        if place is not None:
            self._slice(part, place, part.number, part.rows)
            return
        at = self._bytes
        self._compose(part)
        self._regions.append((at, part))

    def _number(self) -> int:
        return self._regions[-1][1].number + 1

    def _between(self, data: bytes) -> None:
        """What stands between two slices: for the manifest a part without rows."""
        shown = AssemblyPart(self._number(), "", 0, len(data), hashlib.sha256(data).hexdigest())
        self._regions.append((self._bytes, shown))
        self._append(data)

    def _slice(self, part: AssemblyPart, place: Slice, number: int, rows: int = 0) -> None:
        """Bytes of a part, compared with what the formatter wrote as they go by."""
        keys = (part.first_key, part.last_key)
        self._regions.append((self._bytes, AssemblyPart(number, "", rows, place.size, place.sha256, *keys)))
        crc32, size = 0, 0
        for piece in self._found(part, place.start, place.start + place.size):
            crc32 = isal_zlib.crc32(piece, crc32)
            size += len(piece)
            self._append(piece)
        if (size, crc32) != (place.size, place.crc32):
            raise self._corrupt(part)

    def _found(self, part: AssemblyPart, start: int, end: int) -> Iterator[bytes]:
        try:
            yield from self._store.read(part.key, start, end)
        except NotThere as error:
            raise self._missing(part) from error

    def _open(self) -> FileWriter:
        if self._writer is None:
            self._writer = self._store.assemble(self.key, self._file.media_type)
            if self._file.password is not None:
                fmt = formats.get(self._file.format)
                self._writer = self._protected = protecting(fmt, self._writer, self._file.name, self._file.password)
        return self._writer

    def _append(self, data: bytes) -> None:
        self._sha256.update(data)
        self._bytes += len(data)
        self._open().append(data)

    def _compose(self, part: AssemblyPart) -> None:
        try:
            self._open().append_object(part.key, part.bytes, self._checked(part))
        except NotThere as error:
            raise self._missing(part) from error
        self._bytes += part.bytes

    def _checked(self, part: AssemblyPart) -> Iterator[bytes]:
        """The part's bytes on their way to the store; the last step compares them with what the formatter wrote.

        A CRC-32 does: what may have happened to a part on its way is an accident, and a second SHA-256 would cost as much as the file's own.
        """
        own, crc32, size = hashlib.sha256(), 0, 0
        for piece in self._store.read(part.key):
            if part.crc32 is None:
                own.update(piece)
            crc32 = isal_zlib.crc32(piece, crc32)
            self._sha256.update(piece)
            size += len(piece)
            yield piece
        same = own.hexdigest() == part.sha256 if part.crc32 is None else crc32 == part.crc32
        if size != part.bytes or not same:
            raise self._corrupt(part)

    def _corrupt(self, part: AssemblyPart) -> PermanentError:
        return PermanentError("part_corrupt", f"Part {part.number} of '{self._file.name}' is not what the formatter wrote.")

    def _missing(self, part: AssemblyPart) -> PermanentError:
        return PermanentError("part_missing", f"Part {part.number} of '{self._file.name}' is not in the store.")


def _own_place(key: str) -> str:
    folder, _, name = key.rpartition("/")
    return f"{folder}/{secrets.token_hex(8)}/{name}"
