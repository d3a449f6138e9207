"""Waybill as its callers see it: an export over HTTP, from the request to `completed`."""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from tests.bench.stack import BenchError, Stack

ENDED = ("completed", "failed", "cancelled", "expired")
WAIT_SECONDS = 1800


@dataclass(frozen=True)
class Done:
    """An export that has completed; `seconds` are from sending the request to reading of its end."""

    export: dict[str, Any]
    seconds: float

    @property
    def id(self) -> str:
        return str(self.export["id"])

    @property
    def rows(self) -> int:
        return sum(int(file["rows"]) for file in self.export["files"])

    @property
    def bytes(self) -> int:
        return sum(int(file["bytes"]) for file in self.export["files"])

    def keys(self) -> list[str]:
        """The files' keys in the store."""
        org_id = self.export.get("org_id")
        return [f"files/{org_id}/{self.id}/{file['name']}" for file in self.export["files"]]


class Caller:
    """One organisation's HTTP client; one kept-alive connection for requests and one for events."""

    def __init__(self, stack: Stack, org_id: str) -> None:
        self.org_id = org_id
        headers = {"Authorization": f"Bearer {stack.api_key(org_id)}"}
        self._http = httpx.Client(
            base_url=stack.env["WAYBILL_URL"], headers=headers, timeout=httpx.Timeout(30, read=WAIT_SECONDS), trust_env=False
        )

    def __enter__(self) -> "Caller":
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def request(self, body: Mapping[str, object]) -> dict[str, Any]:
        """Ask for an export; returns it as accepted. Raises BenchError with the answer where it is refused."""
        answer = self._http.post("/v1/exports", json=dict(body))
        if answer.status_code != 202:
            raise BenchError(f"POST /v1/exports: {answer.status_code} {answer.text[:500]}")
        return dict(answer.json())

    def run(self, body: Mapping[str, object]) -> Done:
        """Ask for an export and wait for its end by server-sent events."""
        started = time.perf_counter()
        accepted = self.request(body)
        ended = self._wait(str(accepted["id"]))
        seconds = time.perf_counter() - started
        if ended["status"] != "completed":
            raise BenchError(f"export {accepted['id']} ended {ended['status']}: {ended.get('error')}")
        return Done(self.get(str(accepted["id"])) | {"org_id": self.org_id}, seconds)

    def _wait(self, export_id: str) -> dict[str, Any]:
        with self._http.stream("GET", f"/v1/exports/{export_id}/events", headers={"Accept": "text/event-stream"}) as answer:
            if answer.status_code != 200:
                raise BenchError(f"GET /v1/exports/{export_id}/events: {answer.status_code}")
            for line in answer.iter_lines():
                if line.startswith("data:"):
                    data = json.loads(line[5:])
                    if data.get("status") in ENDED:
                        return dict(data)
        raise BenchError(f"the events of {export_id} ended before the export did")

    def listed(self, parameters: Mapping[str, str]) -> dict[str, Any]:
        """A page of the list of exports."""
        answer = self._http.get("/v1/exports", params=dict(parameters))
        answer.raise_for_status()
        return dict(answer.json())

    def get(self, export_id: str) -> dict[str, Any]:
        answer = self._http.get(f"/v1/exports/{export_id}")
        answer.raise_for_status()
        return dict(answer.json())

    def cancel_or_delete(self, export_id: str) -> None:
        """Cancel a running export; delete an ended one and its files."""
        self._http.delete(f"/v1/exports/{export_id}").raise_for_status()
