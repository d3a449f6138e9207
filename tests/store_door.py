"""A door between the services and the S3 store: it lets everything through, or refuses what is written, or carries it slowly."""

import http.client
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PIECE = 64 * 1024
HOP = {"connection", "transfer-encoding", "keep-alive"}


@dataclass(frozen=True)
class Refusal:
    """What is answered to writing under a path that holds `part`: this status, with this code of S3's."""

    part: str
    status: int
    code: str


class StoreDoor:
    """An HTTP proxy on loopback, in this process. `target`: the store's port."""

    def __init__(self, target: int) -> None:
        self.target, self.refusal, self.bytes_per_second = target, None, 0
        self.refused: list[str] = []
        self.carried = 0
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()

    refusal: Refusal | None
    bytes_per_second: int

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    @contextmanager
    def refusing(self, part: str, status: int, code: str) -> Iterator[list[str]]:
        """Writing is refused meanwhile; the paths that were."""
        self.refused = []
        self.refusal = Refusal(part, status, code)
        try:
            yield self.refused
        finally:
            self.refusal = None

    @contextmanager
    def slow(self, bytes_per_second: int) -> Iterator[None]:
        self.carried, self.bytes_per_second = 0, bytes_per_second
        try:
            yield
        finally:
            self.bytes_per_second = 0

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _handler(door: StoreDoor) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _any(self) -> None:
            body = self._body()
            refusal = door.refusal
            if refusal and self.command in ("PUT", "POST") and refusal.part in self.path:
                door.refused.append(self.path)
                text = f'<?xml version="1.0" encoding="UTF-8"?><Error><Code>{refusal.code}</Code><Message>as told</Message></Error>'
                return self._answer(refusal.status, {"Content-Type": "application/xml"}, text.encode())
            return self._pass_on(body)

        do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _any

        def _body(self) -> bytes:
            left, pieces = int(self.headers.get("Content-Length", 0)), []
            while left and (piece := self.rfile.read(min(left, PIECE))):
                if door.bytes_per_second:
                    time.sleep(len(piece) / door.bytes_per_second)
                    door.carried += len(piece)
                pieces.append(piece)
                left -= len(piece)
            return b"".join(pieces)

        def _pass_on(self, body: bytes) -> None:
            store = http.client.HTTPConnection("127.0.0.1", door.target, timeout=60)
            try:
                store.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
                for name, value in self.headers.items():
                    if name.lower() not in HOP | {"expect"}:
                        store.putheader(name, value)
                store.endheaders(body or None)
                answer = store.getresponse()
                headers = {name: value for name, value in answer.getheaders() if name.lower() not in HOP}
                self._answer(answer.status, headers, answer.read(), length=answer.getheader("Content-Length"))
            except OSError:
                self.close_connection = True  # as if the way broke: the store is away, or the caller has gone
            finally:
                store.close()

        def _answer(self, status: int, headers: dict[str, str], body: bytes, length: str | None = None) -> None:
            self.send_response_only(status)
            for name, value in headers.items():
                if name.lower() != "content-length":
                    self.send_header(name, value)
            self.send_header("Content-Length", length if self.command == "HEAD" and length else str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Services say what became of it."""

    return Handler
