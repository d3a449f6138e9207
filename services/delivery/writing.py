"""One file on its way into the store: feeds each part once through the checksums and appends it. All calls block."""

import hashlib
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from isal import isal_zlib

from services.delivery.core.assembly import Append, Layout, Progress, Step, add_part, close
from services.delivery.core.manifest import encrypted_entry, file_entry
from services.delivery.protecting import ZipWriter
from shared.errors import PermanentError
from shared.formats import registry as formats
from shared.formats.protection import member
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
        self._zip: ZipWriter | None = None
        self.key = file.key if file.password is None else _own_place(file.key)
        self._sha256 = hashlib.sha256()
        self._bytes = 0
        self._parts: list[tuple[int, AssemblyPart]] = []  # with the offset where each begins
        self.progress = Progress()

    def add(self, parts: Sequence[AssemblyPart]) -> None:
        """Append the next parts. Raises PermanentError `part_corrupt`, `part_missing`, or what the store raises."""
        for part in parts:
            steps, after = add_part(self.progress, self._file.layout, part)
            self._do(steps)
            self._parts.append((self._bytes - part.bytes, part))
            self.progress = after

    def complete(self) -> Written:
        """Write what ends the file. It is in the store, whole, on return."""
        layout = self._ended()
        self._do(close(self.progress, layout))
        self._open().complete()
        rows, name, media_type = self.progress.rows, self._file.name, self._file.media_type
        if self._zip is not None:
            size, sha256 = self._zip.size, self._zip.sha256
            entry = encrypted_entry(name, media_type, rows, size, sha256, [part for _, part in self._parts])
            return Written(rows, size, sha256, entry, self.key)
        sha256 = self._sha256.hexdigest()
        entry = file_entry(name, media_type, rows, self._bytes, sha256, self._parts, layout)
        return Written(rows, self._bytes, sha256, entry, self.key)

    def abort(self) -> None:
        if self._writer is not None:
            self._writer.abort()

    def _ended(self) -> Layout:
        """The layout with what ends this very file. Raises PermanentError `upgrade_unfinished` where a process of before left out a note."""
        layout, fmt, parts = self._file.layout, formats.get(self._file.format), [part for _, part in self._parts if part.rows]
        if not parts or not fmt.binary or fmt.document:
            return layout
        notes = [part.note for part in parts if part.note is not None]
        if len(notes) < len(parts):
            raise PermanentError("upgrade_unfinished", f"No {fmt.name} file can be made while processes of an older release run.")
        return replace(layout, tail=fmt.ending(layout.tail, notes))

    def _open(self) -> FileWriter:
        if self._writer is None:
            self._writer = self._store.assemble(self.key, self._file.media_type)
            if self._file.password is not None:
                self._writer = self._zip = ZipWriter(self._writer, member(self._file.name), self._file.password)
        return self._writer

    def _do(self, steps: Sequence[Step]) -> None:
        for step in steps:
            if isinstance(step, Append):
                self._sha256.update(step.data)
                self._bytes += len(step.data)
                self._open().append(step.data)
            else:
                self._compose(step.part)

    def _compose(self, part: AssemblyPart) -> None:
        try:
            self._open().append_object(part.key, part.bytes, self._checked(part))
        except NotThere as error:
            raise PermanentError("part_missing", f"Part {part.number} of '{self._file.name}' is not in the store.") from error
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
            raise PermanentError("part_corrupt", f"Part {part.number} of '{self._file.name}' is not what the formatter wrote.")


def _own_place(key: str) -> str:
    folder, _, name = key.rpartition("/")
    return f"{folder}/{secrets.token_hex(8)}/{name}"
