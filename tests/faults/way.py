"""The way from delivery to a destination's server: TCP, on which something can happen at any byte."""

import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress

from deploy.local.ports import HOST

PIECE = 16 << 10


class Way:
    """In this process, on loopback. `arm`: what happens once so many bytes have gone there."""

    def __init__(self, upstream: int, port: int = 0) -> None:
        self.upstream, self._left, self._act, self._breaks = upstream, -1, None, True
        self._listener = socket.create_server((HOST, port))
        self.port = int(self._listener.getsockname()[1])
        self._lock, self._open = threading.Lock(), set[socket.socket]()
        threading.Thread(target=self._accept, args=[self._listener], daemon=True).start()

    _act: Callable[[], None] | None
    came = False  # what was armed has happened
    bytes_per_second = 0  # there, of each connection; 0: as fast as it goes

    def arm(self, after: int, act: Callable[[], None], breaks: bool = True) -> None:
        """`act` is called in the middle of the way; the connection that it happened on is gone behind it, if it `breaks`."""
        with self._lock:
            self._left, self._act, self._breaks, self.came = after, act, breaks, False

    def disarm(self) -> None:
        with self._lock:
            self._act, self.bytes_per_second = None, 0

    def shut(self) -> None:
        """Nobody listens any more, and what is open is gone."""
        _end(self._listener)
        with self._lock:
            left = list(self._open)
        for each in left:
            _end(each)

    def open(self) -> None:
        """Again, at the same port, unless somebody listens."""
        if self._listener.fileno() != -1:
            return
        self._listener = socket.create_server((HOST, self.port))
        threading.Thread(target=self._accept, args=[self._listener], daemon=True).start()

    def close(self) -> None:
        _end(self._listener)

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                near, _ = listener.accept()
            except OSError:
                return
            try:
                far = socket.create_connection((HOST, self.upstream), timeout=10)
                far.settimeout(None)
            except OSError:
                near.close()
                continue
            with self._lock:
                self._open |= {near, far}
            for source, sink, there in ((near, far, True), (far, near, False)):
                threading.Thread(target=self._pump, args=[source, sink, there], daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket, there: bool) -> None:
        try:
            while piece := source.recv(PIECE):
                if there and self.bytes_per_second:
                    time.sleep(len(piece) / self.bytes_per_second)
                if there and (act := self._due(len(piece))):
                    sink.sendall(piece[: len(piece) // 2])
                    act()
                    if self._breaks:
                        break
                    piece = piece[len(piece) // 2 :]
                sink.sendall(piece)
        except OSError:
            pass
        for each in (source, sink):
            _end(each)
        with self._lock:
            self._open -= {source, sink}

    def _due(self, size: int) -> Callable[[], None] | None:
        with self._lock:
            if self._act is None:
                return None
            self._left -= size
            if self._left > 0:
                return None
            act, self._act, self.came = self._act, None, True
            return act


def _end(each: socket.socket) -> None:
    with suppress(OSError):
        each.shutdown(socket.SHUT_RDWR)  # wakes who reads from it
    each.close()  # what wasn't read is refused, as where a machine is gone
