"""One SFTP session: requests in, answers out, one after the other. Nothing is taken on before the answers to what came before are on their way, so a session
holds half a MiB of answers at most and what its files read ahead, however much a client asks for and however little it takes."""

import asyncio
import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, assert_never

import asyncssh
import structlog

from services.delivery.core.sftp import paths, wire
from services.delivery.core.sftp.wire import Code
from services.delivery.sftp.files import Files, OpenFile
from shared.errors import PermanentError, TransientError
from shared.storage import NotThere

log = structlog.get_logger()
HANDLES_MAX = 64
WAITING_BYTES_MAX = 64 * 1024  # of requests that wait for their turn
NAMES_MAX = 250  # of one answer to READDIR
REST_SECONDS = 20.0  # a session that asks for nothing lets go of what it read ahead
STALLED_SECONDS = 60.0  # a client that takes nothing for so long is gone
BUSY_SECONDS = 2.0  # since the last answer
TOGETHER_BYTES = 256 * 1024  # of answers that go out at once, and the last of them
_DAWN = datetime(1970, 1, 1, tzinfo=UTC)


class Ended(Exception):
    """The session is over; the text is for the client."""


@dataclass
class Listing:
    """A folder that is being read, by name: `after` is the last one that was given."""

    entries: list[wire.Entry] = field(default_factory=list)
    path: str = ""
    after: str = ""
    is_over: bool = False


class Session(asyncssh.SSHServerSession[bytes]):
    """`files` belongs to the connection's user; nobody but SFTP is let in: no shell, no command, no terminal."""

    def __init__(
        self, files: Callable[[], "asyncio.Future[Files]"], can_send: asyncio.Event, idle_seconds: float, end: Callable[[str], None]
    ) -> None:
        self._files_of, self._conn_can_send, self._idle_seconds, self._end = files, can_send, idle_seconds, end
        self._files: Files | None = None
        self._chan: Any = None
        self._frames = wire.Frames()
        self._news, self._can_send = asyncio.Event(), asyncio.Event()
        self._can_send.set()
        self._paused = self._eof = False
        self._handles: dict[bytes, OpenFile | Listing] = {}
        self._numbers = itertools.count(1)
        self._task: asyncio.Task[None] | None = None
        self._answered_at = 0.0
        self.is_over = False

    @property
    def is_busy(self) -> bool:
        """Whether a file is being read just now."""
        return time.monotonic() - self._answered_at < BUSY_SECONDS and any(isinstance(each, OpenFile) for each in self._handles.values())

    # ---- what the connection tells

    def connection_made(self, chan: Any) -> None:
        self._chan = chan

    def subsystem_requested(self, subsystem: str) -> bool:
        return subsystem == "sftp"

    def session_started(self) -> None:
        self._task = asyncio.create_task(self._run())

    def data_received(self, data: bytes, datatype: Any) -> None:
        self._frames.feed(data)
        self._news.set()
        if not self._paused and self._frames.waiting > WAITING_BYTES_MAX:
            self._paused = True
            self._chan.pause_reading()

    def eof_received(self) -> bool:
        self._eof = True
        self._news.set()
        return True

    def pause_writing(self) -> None:
        self._can_send.clear()

    def resume_writing(self) -> None:
        self._can_send.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_over = True
        if self._task is not None:
            self._task.cancel()

    # ---- the road of a request

    async def _run(self) -> None:
        try:
            self._files = await self._files_of()
            await self._greet()
            while await self._serve():
                pass
        except (wire.BadMessage, Ended) as error:
            self._end(str(error))
        except (BrokenPipeError, ConnectionError):
            pass
        except asyncio.CancelledError:
            raise
        except Exception as error:
            log.error("sftp_session_failed", exc_info=error)
            self._end("An error on our side; it is noted.")
        finally:
            self.is_over = True
            self._let_go()
            self._chan.close()

    async def _serve(self) -> bool:
        """Answers to what has come by now, in one go up to a limit: SSH cuts what it is given into packets, and short ones cost as much as long ones."""
        request, answers, size = await self._next(), [], 0
        if request is None:
            return False
        while request is not None:
            answers.append(await self._answer(request))
            size += len(answers[-1])
            request = self._frames.next() if size < TOGETHER_BYTES else None
        await self._send(b"".join(answers))
        self._answered_at = time.monotonic()
        await asyncio.sleep(0)  # others get their turn
        return True

    async def _greet(self) -> None:
        first = await self._next()
        if not isinstance(first, wire.Init):
            raise wire.BadMessage("the first message must be INIT")
        await self._send(wire.version())

    async def _next(self) -> wire.Request | None:
        """None at the end."""
        while (request := self._frames.next()) is None:
            if self._paused:
                self._paused = False
                self._chan.resume_reading()
                continue
            if self._eof:
                return None
            self._news.clear()
            await self._wait_for_news()
        return request

    async def _wait_for_news(self) -> None:
        try:
            async with asyncio.timeout(min(REST_SECONDS, self._idle_seconds)):
                await self._news.wait()
            return
        except TimeoutError:
            self._rest()
        try:
            async with asyncio.timeout(max(0.0, self._idle_seconds - REST_SECONDS)):
                await self._news.wait()
        except TimeoutError:
            raise Ended(f"Nothing was asked for in {self._idle_seconds:.0f} seconds.") from None

    async def _send(self, answer: bytes) -> None:
        for gate in (self._can_send, self._conn_can_send):
            if not gate.is_set():
                try:
                    async with asyncio.timeout(STALLED_SECONDS):
                        await gate.wait()
                except TimeoutError:
                    raise Ended(f"Nothing was taken in {STALLED_SECONDS:.0f} seconds.") from None
        self._chan.write(answer)

    def _rest(self) -> None:
        for each in self._handles.values():
            if isinstance(each, OpenFile) and self._files is not None:
                self._files.rest(each)

    def _let_go(self) -> None:
        self._rest()
        for each in self._handles.values():
            if isinstance(each, OpenFile) and self._files is not None:
                self._files.close(each)
        self._handles.clear()

    # ---- answers

    async def _answer(self, request: wire.Request) -> bytes:
        if isinstance(request, wire.Init):
            raise wire.BadMessage("INIT comes once")
        try:
            return await self._done(request)
        except NotThere:
            return wire.status(request.id, Code.NO_SUCH_FILE, "It is not there any more.")
        except (TransientError, PermanentError, EOFError) as error:
            log.warning("sftp_request_failed", reason=str(error))
            return wire.status(request.id, Code.FAILURE, "The files can't be reached at the moment; try again.")

    async def _done(self, request: wire.Request) -> bytes:
        number = request.id  # type: ignore[union-attr]
        match request:
            case wire.Read():
                return await self._read(request)
            case wire.Open():
                return await self._open(request)
            case wire.Opendir():
                return await self._opendir(request)
            case wire.Readdir():
                return await self._readdir(request)
            case wire.Stat():
                entry = await self._the_files.entry(self._the_files.place(request.path))
                return _missing(number) if entry is None else wire.attributes(number, entry)
            case wire.Fstat():
                held = self._handles.get(request.handle)
                if isinstance(held, OpenFile):
                    return wire.attributes(number, held.entry)
                return wire.attributes(number, folder("")) if held is not None else _no_handle(number)
            case wire.Close():
                held = self._handles.pop(request.handle, None)
                if isinstance(held, OpenFile):
                    self._the_files.close(held)
                return wire.status(number, Code.OK) if held is not None else _no_handle(number)
            case wire.Realpath():
                found = paths.absolute(request.path)
                return _missing(number) if found is None else wire.real_path(number, found)
            case wire.Limits():
                return wire.limits(number, HANDLES_MAX)
            case wire.Changing():
                return wire.status(number, Code.PERMISSION_DENIED, "Files here can be read, and nothing else.")
            case wire.Unknown():
                return wire.status(number, Code.OP_UNSUPPORTED, "This server doesn't know that request.")
            case wire.Init():
                raise wire.BadMessage("INIT comes once")
            case _:
                assert_never(request)

    async def _read(self, request: wire.Read) -> bytes:
        held = self._handles.get(request.handle)
        if not isinstance(held, OpenFile):
            return _no_handle(request.id)
        pieces = await self._the_files.read(held, request.offset, request.length)
        return wire.data(request.id, pieces) if pieces else wire.status(request.id, Code.EOF)

    async def _open(self, request: wire.Open) -> bytes:
        if not request.only_reads:
            return wire.status(request.id, Code.PERMISSION_DENIED, "Files here can be read, and nothing else.")
        if len(self._handles) >= HANDLES_MAX:
            return _too_many(request.id)
        place = self._the_files.place(request.path)
        if place is not None and not isinstance(place, paths.File):
            return wire.status(request.id, Code.FAILURE, "It is a folder.")
        found = await self._the_files.open(place) if place is not None else None
        return _missing(request.id) if found is None else wire.handle(request.id, self._keep(found))

    async def _opendir(self, request: wire.Opendir) -> bytes:
        if len(self._handles) >= HANDLES_MAX:
            return _too_many(request.id)
        match self._the_files.place(request.path):
            case paths.Root():
                listing = Listing([folder("."), folder(".."), folder("export")])
            case paths.Exports():
                listing = Listing([folder("."), folder(".."), *map(folder, sorted(self._the_files.folders))])
            case paths.Folder(path):
                listing = Listing([folder("."), folder("..")], path)
            case paths.File() as place if await self._the_files.entry(place) is not None:
                return wire.status(request.id, Code.FAILURE, "It is a file.")
            case _:
                return _missing(request.id)
        return wire.handle(request.id, self._keep(listing))

    async def _readdir(self, request: wire.Readdir) -> bytes:
        listing = self._handles.get(request.handle)
        if not isinstance(listing, Listing):
            return _no_handle(request.id)
        entries, listing.entries = listing.entries, []
        if not entries and listing.path and not listing.is_over:
            entries = await self._the_files.entries(listing.path, listing.after, NAMES_MAX)
            listing.is_over = len(entries) < NAMES_MAX
            listing.after = entries[-1].name if entries else listing.after
        return wire.names(request.id, entries) if entries else wire.status(request.id, Code.EOF)

    def _keep(self, held: OpenFile | Listing) -> bytes:
        handle = next(self._numbers).to_bytes(wire.HANDLE_BYTES, "big")
        self._handles[handle] = held
        return handle

    @property
    def _the_files(self) -> Files:
        assert self._files is not None
        return self._files


def folder(name: str) -> wire.Entry:
    return wire.Entry(name, 0, _DAWN, is_folder=True)


def _missing(number: int) -> bytes:
    return wire.status(number, Code.NO_SUCH_FILE, "There is no such file.")


def _no_handle(number: int) -> bytes:
    return wire.status(number, Code.FAILURE, "There is no such handle.")


def _too_many(number: int) -> bytes:
    return wire.status(number, Code.FAILURE, f"At most {HANDLES_MAX} files and folders are open at once: close one.")
