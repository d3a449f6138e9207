"""A user's files: what lies in the organisation's folders now, and its bytes."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

import structlog

from services.delivery.core.sftp import paths, wire
from services.delivery.sftp.metrics import BYTES, FILES
from services.delivery.sftp.noting import Notes
from services.delivery.sftp.reading import Stream
from services.delivery.sftp.store import Row, SftpStore
from services.delivery.threads import Threads
from shared import audit
from shared.errors import TransientError
from shared.storage import NotThere, ObjectStore

T = TypeVar("T")
log = structlog.get_logger()
ATTEMPTS, PAUSE_SECONDS = 4, 0.5
STREAMS_MAX = 4  # of a connection: files from which it reads ahead at the same time
LOOK_SECONDS = 30.0  # how long an open file may be read without a look at whether it may still be had


@dataclass(eq=False)
class OpenFile:
    """A file that a client has opened. The trail says so when its first byte is asked for."""

    place: paths.File
    export_id: str
    file: str  # its name among the export's files
    key: str
    sha256: str
    purpose: str
    entry: wire.Entry
    is_noted: bool = False
    looked_at: float = field(default_factory=time.monotonic)


@dataclass(frozen=True)
class Reader:
    """Who reads, from where."""

    org_id: str
    user_id: str
    address: str

    @property
    def actor(self) -> str:
        return f"sftp:{self.user_id}"


class Files:
    """One connection's. What it has open at once is bounded, however many sessions and handles it has."""

    def __init__(self, reader: Reader, store: SftpStore, objects: ObjectStore, threads: Threads, notes: Notes) -> None:
        self._reader, self._store, self._objects, self._threads, self._notes = reader, store, objects, threads, notes
        self._streams: OrderedDict[OpenFile, Stream] = OrderedDict()
        self.folders = paths.folders()

    def place(self, path: bytes) -> paths.Place | None:
        return paths.place_of(path, self.folders)

    async def entry(self, place: paths.Place | None) -> wire.Entry | None:
        match place:
            case None:
                return None
            case paths.File():
                row = await self._find(place)
                return None if row is None else _entry(row)
            case _:
                return wire.Entry("", 0, datetime.fromtimestamp(0).astimezone(), is_folder=True)

    async def entries(self, path: str, after: str, count: int) -> list[wire.Entry]:
        """A page of a folder, by name."""
        found = await patiently(lambda: self._store.files(self._reader.org_id, path, after, count))
        return [_entry(row) for row in found]

    async def open(self, place: paths.File) -> OpenFile | None:
        row = await self._find(place)
        if row is None:
            return None
        return OpenFile(place, row["export_id"], row["file"], row["key"], row["sha256"], row["purpose"] or "", _entry(row))

    async def read(self, file: OpenFile, offset: int, length: int) -> list[memoryview]:
        """Nothing at the end. Raises NotThere once the file may not be had any more, and what the store raises."""
        if file.is_noted and time.monotonic() - file.looked_at > LOOK_SECONDS:
            await self._look(file)
        stream = self._stream(file)
        pieces = await stream.read(offset, length)
        if not file.is_noted and (pieces or not file.entry.bytes):
            await self._note(file, offset)
        BYTES.inc(sum(map(len, pieces)))
        return pieces

    def rest(self, file: OpenFile) -> None:
        """Let go of what is read ahead; reading on opens it again."""
        stream = self._streams.pop(file, None)
        if stream is not None:
            stream.close()

    close = rest

    def close_all(self) -> None:
        for file in list(self._streams):
            self.rest(file)

    def _stream(self, file: OpenFile) -> Stream:
        stream = self._streams.get(file)
        if stream is None:
            if len(self._streams) >= STREAMS_MAX:  # one that nobody waits for: each session waits for one at most
                self.rest(next(each for each, held in self._streams.items() if not held.is_read))
            stream = self._streams[file] = Stream(self._objects, self._threads, file.key, file.entry.bytes)
        self._streams.move_to_end(file)
        return stream

    async def _find(self, place: paths.File) -> Row | None:
        return await patiently(lambda: self._store.file(self._reader.org_id, place.path, place.name))

    async def _look(self, file: OpenFile) -> None:
        if await self._find(file.place) is None:
            self.rest(file)
            raise NotThere(file.key)
        file.looked_at = time.monotonic()

    async def _note(self, file: OpenFile, offset: int) -> None:
        """Bytes go out once it is noted who takes them: what can't be noted isn't served."""
        details = {
            "file": file.file,
            "sha256": file.sha256,
            "bytes": file.entry.bytes - offset,
            "folder": file.place.path,
            "name": file.place.name,
        }
        if offset:
            details["first_byte"] = offset
        noted = audit.note(
            self._reader.org_id, self._reader.actor, "file.downloaded", file.export_id, details, self._reader.address, file.purpose
        )
        await patiently(lambda: self._notes.keep(noted))
        file.is_noted = True
        FILES.inc()


async def patiently(work: Callable[[], Awaitable[T]]) -> T:
    """In a crowd the database may have no connection for a while: clients would rather wait than fail."""
    for _ in range(ATTEMPTS - 1):
        try:
            return await work()
        except TransientError as error:
            log.info("sftp_waits", dependency=error.dependency, reason=str(error))
            await asyncio.sleep(PAUSE_SECONDS)
    return await work()


def _entry(row: Row) -> wire.Entry:
    return wire.Entry(row["name"], row["bytes"], row["published_at"])
