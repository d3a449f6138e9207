"""Hears the webhooks of a round, as a subscriber would: verified, answered, and now and then refused once."""

import json
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from standardwebhooks import Webhook, WebhookVerificationError

from deploy.local.ports import HOST
from tests.faults.load import Organisation

REFUSED_ONCE = 5  # of so many events one is refused at first


@dataclass(frozen=True)
class Heard:
    """One request that came. `wrong`: why no subscriber may believe it."""

    org_id: str
    webhook_id: str
    type: str
    export_id: str
    wrong: str = ""


class Receiver:
    """One HTTP server for all organisations; each has a path and a secret of its own."""

    def __init__(self) -> None:
        self._heard: list[Heard] = []
        self._secrets: dict[str, str] = {}
        self._lock = threading.Lock()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                self.send_response(204 if receiver.take(self.path.strip("/"), dict(self.headers), body) else 500)
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                """Silence: what came is in the facts."""

        self._server = ThreadingHTTPServer((HOST, 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def subscribe(self, organisation: Organisation) -> None:
        """Every event of the organisation comes here from now on."""
        url = f"http://{HOST}:{self._server.server_address[1]}/{organisation.org_id}"
        made = organisation.http.post("/v1/webhook-endpoints", json={"url": url}).raise_for_status().json()
        self._secrets[organisation.org_id] = made["secret"]

    def heard(self, org_ids: Iterable[str]) -> list[Heard]:
        wanted = set(org_ids)
        with self._lock:
            return [heard for heard in self._heard if heard.org_id in wanted]

    def take(self, org_id: str, headers: dict[str, str], body: bytes) -> bool:
        """Whether it is answered as taken."""
        known = {name.lower(): value for name, value in headers.items()}
        wrong = ""
        try:
            Webhook(self._secrets[org_id]).verify(body, known)
        except WebhookVerificationError as error:
            wrong = f"not signed by the endpoint's secret: {error}"
        except KeyError:
            wrong = "nobody has subscribed here"
        payload = json.loads(body)
        webhook_id = known.get("webhook-id", "")
        with self._lock:
            first = webhook_id not in {heard.webhook_id for heard in self._heard}
            self._heard.append(Heard(org_id, webhook_id, payload["type"], payload["data"]["id"], wrong))
        return not (first and sum(webhook_id.encode()) % REFUSED_ONCE == 0)
