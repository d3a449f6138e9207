"""Files as SFTP clients read them: at any offset, mostly onwards, many requests ahead. Memory is flat: a file that is being read holds about 4 MiB, whatever its size."""

import asyncio
import threading
from collections import deque
from collections.abc import Iterator

from services.delivery.core.sftp.wire import READ_BYTES_MAX
from services.delivery.threads import Threads
from shared.storage import ObjectStore

# Of one read from the store: a thread fetches each, and to change threads costs as much as to send a quarter of a MiB.
PIECE_BYTES = 1 << 20
KEPT_PIECES = 3  # what was given and may be asked for again, what is given, what comes next
SPAN_BYTES_MIN, SPAN_BYTES_MAX = 1 << 20, 64 << 20  # of one ranged GET: it grows while a client reads on


class Stream:
    """One object, read ahead by a piece while its reader goes on. One read at a time; `close` waits for none."""

    def __init__(self, objects: ObjectStore, threads: Threads, key: str, size: int) -> None:
        self._threads, self._size = threads, size
        self._source = _Source(objects, key, size)
        self._pieces: deque[tuple[int, bytes]] = deque()
        self._end = 0
        self._ahead: asyncio.Future[bytes] | None = None
        self.is_read = False

    async def read(self, offset: int, length: int) -> list[memoryview]:
        """All of [offset, offset + length) that the file has, in pieces. Raises what the store raises; the next read begins anew."""
        end = min(offset + min(length, READ_BYTES_MAX), self._size)
        if offset >= end:
            return []
        self.is_read = True
        try:
            if not self._pieces or not self._pieces[0][0] <= offset <= self._end:
                await self._begin(offset)
            while self._end < end:
                await self._advance()
        finally:
            self.is_read = False
        return list(self._cut(offset, end))

    def close(self) -> None:
        self._pieces.clear()
        self._end = -1
        if self._ahead is not None:
            self._ahead.cancel()
            self._ahead = None
        self._threads.start(self._source.close)

    async def _begin(self, offset: int) -> None:
        if self._ahead is not None:
            await asyncio.wait({self._ahead})
            self._ahead = None
        self._pieces.clear()
        self._end = offset
        self._source.go_to(offset)

    async def _advance(self) -> None:
        """One piece more, and the one after it on its way."""
        ahead, self._ahead = self._ahead or self._fetch(), None
        try:
            piece = await ahead
        except Exception:
            self._pieces.clear()
            raise
        if not piece:
            self._pieces.clear()
            raise EOFError("the object is shorter than it was")
        self._pieces.append((self._end, piece))
        self._end += len(piece)
        if len(self._pieces) > KEPT_PIECES:
            self._pieces.popleft()
        if self._end < self._size:
            self._ahead = self._fetch()

    def _fetch(self) -> "asyncio.Future[bytes]":
        fetched = asyncio.ensure_future(self._threads.run(self._source.next))
        fetched.add_done_callback(_looked_at)
        return fetched

    def _cut(self, offset: int, end: int) -> Iterator[memoryview]:
        for start, piece in self._pieces:
            first, last = max(offset, start), min(end, start + len(piece))
            if first < last:
                yield memoryview(piece)[first - start : last - start]


def _looked_at(fetched: "asyncio.Future[bytes]") -> None:
    """So that nobody complains of an error that no reader waited for."""
    if not fetched.cancelled():
        fetched.exception()


class _Source:
    """The store's side, used by one thread at a time: ranged GETs one after the other, each longer than the one before."""

    def __init__(self, objects: ObjectStore, key: str, size: int) -> None:
        self._objects, self._key, self._size = objects, key, size
        self._lock = threading.Lock()
        self._pieces: Iterator[bytes] = iter(())
        self._at, self._span_end, self._span = 0, 0, SPAN_BYTES_MIN
        self._moved = False

    def go_to(self, offset: int) -> None:
        """From the event loop, while no thread reads: what was open is closed by the next read."""
        self._at, self._span_end, self._span, self._moved = offset, offset, SPAN_BYTES_MIN, True

    def next(self) -> bytes:
        with self._lock:
            if self._moved:
                self._let_go()
                self._moved = False
            if self._at >= self._span_end:
                if self._at >= self._size:
                    return b""
                self._span_end = min(self._at + self._span, self._size)
                self._pieces = self._objects.read(self._key, self._at, self._span_end, PIECE_BYTES)
                self._span = min(self._span * 2, SPAN_BYTES_MAX)
            try:
                piece = next(self._pieces, b"")
            except BaseException:
                self._span_end = self._at  # the next one asks anew
                raise
            self._at += len(piece)
            return piece

    def close(self) -> None:
        with self._lock:
            self._let_go()

    def _let_go(self) -> None:
        close = getattr(self._pieces, "close", None)
        if close is not None:
            close()
        self._pieces = iter(())
