"""The demo's subscriber: a receiver on loopback that hears of an export's end, and verifies it with a library that is not ours."""

import json
import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from standardwebhooks import Webhook, WebhookVerificationError

from deploy.local.errors import StackError

Request = tuple[dict[str, str], bytes]


class Subscriber:
    """Keeps what it is sent, and answers 204."""

    def __init__(self) -> None:
        self._received: queue.Queue[Request] = queue.Queue()
        received = self._received

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                received.put(({name.lower(): value for name, value in self.headers.items()}, body))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """The demo says what matters itself."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/waybill"

    def verified(self, secret: str, export_id: str, seconds: float) -> tuple[str, dict[str, Any]]:
        """(webhook-id, payload) of the first webhook about the export. Raises StackError where none comes, or one is not signed by `secret`."""
        while True:
            try:
                headers, body = self._received.get(timeout=seconds)
            except queue.Empty:
                raise StackError(f"no webhook about {export_id} came within {seconds:.0f} s") from None
            try:
                payload: dict[str, Any] = Webhook(secret).verify(body, headers)
            except (WebhookVerificationError, json.JSONDecodeError) as error:
                raise StackError(f"a webhook came whose signature is wrong: {error}") from error
            if payload["data"].get("id") == export_id:
                return headers["webhook-id"], payload


@contextmanager
def subscriber() -> Iterator[Subscriber]:
    made = Subscriber()
    thread = threading.Thread(target=made.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield made
    finally:
        made.server.shutdown()
        made.server.server_close()
        thread.join()
