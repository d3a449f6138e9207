"""An object's bytes, piece by piece, off the event loop."""

import threading
from collections.abc import Iterator


class Pieces:
    """An object's bytes, read by one thread at a time; `close` waits for a read that is under way."""

    def __init__(self, source: Iterator[bytes]) -> None:
        self._source, self._lock = source, threading.Lock()
        self._first = b""

    def begin(self) -> None:
        self._first = self.next()

    def next(self) -> bytes:
        """The next piece; empty at the end, and once closed."""
        with self._lock:
            piece, self._first = self._first, b""
            return piece or next(self._source, b"")

    def close(self) -> None:
        with self._lock:
            self._source.close()  # type: ignore[attr-defined]
