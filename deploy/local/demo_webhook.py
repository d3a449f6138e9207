"""The demo's subscriber: hears of an export's end on loopback, and verifies it with a library that is not ours."""

import base64
import json
import queue
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import IO, Any

from standardwebhooks import Webhook, WebhookVerificationError

from deploy.local.errors import StackError

Request = tuple[dict[str, str], bytes]
MODULE = "deploy.image.receiver"
ON_THIS_MACHINE = (sys.executable, "-m", MODULE)
STOP_SECONDS = 15


class Subscriber:
    """Keeps what its receiver, a process, is sent. Raises StackError where that does not start."""

    def __init__(self, receiver: "subprocess.Popen[bytes]") -> None:
        assert receiver.stdout and receiver.stderr
        self._received: queue.Queue[Request] = queue.Queue()
        port = receiver.stdout.readline().decode().strip()
        if not port:
            raise StackError("the webhooks' receiver does not start", receiver.stderr.read().decode(errors="replace").strip())
        self.url = f"http://127.0.0.1:{port}/waybill"
        self.reader = threading.Thread(target=self._read, args=[receiver.stdout], daemon=True)
        self.reader.start()

    def _read(self, lines: IO[bytes]) -> None:
        for line in lines:
            shown = json.loads(line)
            self._received.put((shown["headers"], base64.b64decode(shown["body"])))

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
def subscriber(command: Sequence[str] = ON_THIS_MACHINE) -> Iterator[Subscriber]:
    """`command` starts the receiver where delivery reaches its loopback."""
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as receiver:
        assert receiver.stdin
        try:
            made = Subscriber(receiver)
            yield made
            receiver.stdin.close()  # which ends it
            receiver.wait(STOP_SECONDS)
            made.reader.join()
        finally:
            receiver.kill()
