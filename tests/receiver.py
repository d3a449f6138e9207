"""A subscriber of webhooks: an HTTP server on loopback that keeps what it is sent and answers as it is told."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from standardwebhooks import Webhook

WAIT_SECONDS = 60


@dataclass(frozen=True)
class Received:
    """One request."""

    path: str
    headers: Mapping[str, str]
    body: bytes
    at: float

    @property
    def webhook_id(self) -> str:
        return self.headers["webhook-id"]

    def verified(self, secret: str) -> Any:
        """The payload, if the signature is right. Raises WebhookVerificationError of a library that is not ours."""
        return Webhook(secret).verify(self.body, dict(self.headers))


@dataclass(frozen=True)
class Answer:
    """What the receiver says; `wait` holds it back until it is set, `lost` ends the connection in its place."""

    status: int = 204
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    wait: threading.Event | None = None
    lost: bool = False


Decide = Callable[[str, int], Answer]  # by path, and by how many requests came to it before


class Receiver:
    """`decide` may be changed at any time."""

    def __init__(self, port: int = 0) -> None:
        self.decide: Decide = lambda path, before: Answer()
        self._received: list[Received] = []
        self._changed = threading.Condition()
        self._server = ThreadingHTTPServer(("127.0.0.1", port), _handler(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    def url(self, path: str = "/") -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def take(self, request: Received) -> Answer:
        with self._changed:
            before = sum(each.path == request.path for each in self._received)
            self._received.append(request)
            self._changed.notify_all()
        return self.decide(request.path, before)

    def at(self, path: str = "/") -> list[Received]:
        with self._changed:
            return [each for each in self._received if each.path == path]

    def until(self, path: str, count: int, seconds: float = WAIT_SECONDS) -> list[Received]:
        """The requests to `path`, once there are `count`."""
        deadline = time.monotonic() + seconds
        with self._changed:
            while len(found := [each for each in self._received if each.path == path]) < count:
                left = deadline - time.monotonic()
                assert left > 0, f"{len(found)} of {count} requests came to {path}"
                self._changed.wait(left)
        return found

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@contextmanager
def receiving() -> Iterator[Receiver]:
    receiver = Receiver()
    try:
        yield receiver
    finally:
        receiver.close()


def _handler(receiver: Receiver) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            try:
                body = self.rfile.read(size := int(self.headers.get("content-length", 0)))
            except ConnectionError:
                body, size = b"", -1
            if len(body) != size:  # it ended early: discarded, as receivers are told to
                self.close_connection = True
                return
            headers = {name.lower(): value for name, value in self.headers.items()}
            answer = receiver.take(Received(self.path, headers, body, time.time()))
            if answer.wait is not None:
                answer.wait.wait(WAIT_SECONDS)
            if answer.lost:
                self.close_connection = True
                return
            try:
                self.send_response(answer.status)
                for name, value in {"Content-Length": str(len(answer.body)), **answer.headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(answer.body)
            except ConnectionError:
                self.close_connection = True  # the sender has given up, or died

        def log_message(self, *_: object) -> None:
            """Tests say what came."""

    return Handler
