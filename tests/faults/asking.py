"""Asks over HTTP as one organisation, and waits until what was asked for is so: delivery may be dead at this moment."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx

END_SECONDS = (
    240.0  # longer than the silence that carriers bear, and than a process takes to start on a machine that has far too much to do
)
TOLD_SECONDS = 10.0
ENDED = ("delivered", "failed", "cancelled")
Body = dict[str, Any]


@dataclass
class Asking:
    """Raises AssertionError for an answer that says no, TimeoutError for what doesn't come to be."""

    http: httpx.Client

    def ask(self, method: str, path: str, **more: Any) -> Any:
        """Until there is an answer other than "try again"."""
        deadline = time.monotonic() + END_SECONDS
        while True:
            try:
                answer = self.http.request(method, path, **more)
                if answer.status_code < 400:
                    return answer.json()
                if answer.status_code not in (429, 502, 503, 504):
                    raise AssertionError(f"{method} {path} answered {answer.status_code}: {answer.text[:300]}")
            except httpx.TransportError:
                pass
            if time.monotonic() > deadline:
                raise TimeoutError(f"{method} {path} is not answered")
            time.sleep(0.1)

    def until(self, look: Callable[[], Body], done: Callable[[Body], bool], what: str) -> Body:
        deadline = time.monotonic() + END_SECONDS
        while not done(found := look()):
            if time.monotonic() > deadline:
                raise TimeoutError(f"{what} is {found.get('status')} after {END_SECONDS:g} s: {json.dumps(found)[:500]}")
            time.sleep(0.1)
        return found

    def exported(self, to: Body, until: str) -> Body:
        """The messages before `until`, for one destination, once the export has completed."""
        body = {"dataset": "messages", "format": "csv", "from": "2026-03-01", "to": until, "timezone": "UTC", "destinations": [to]}
        path = f"/v1/exports/{self.ask('POST', '/v1/exports', json=body)['id']}"
        return self.until(lambda: self.ask("GET", path), lambda found: found["status"] == "completed", "the export")

    def delivery_of(self, export_id: str, *statuses: str) -> Body:
        """The export's only one, once it is so, or has ended."""

        def look() -> Body:
            found = self.ask("GET", f"/v1/deliveries?export_id={export_id}")["data"]
            return found[0] if found else {"status": "not made"}

        return self.until(look, lambda found: found["status"] in (statuses or ENDED), "the delivery")

    def is_told(self, id_: str) -> bool:
        """Whether a notification names it, soon."""
        deadline = time.monotonic() + TOLD_SECONDS
        while not any(id_ in json.dumps(each) for each in self.ask("GET", "/v1/notifications")["data"]):
            if time.monotonic() > deadline:
                return False
            time.sleep(0.1)
        return True
