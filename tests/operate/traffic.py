"""Records and requests that go on while processes come and go."""

import json
import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import psycopg

from tests.e2e.conftest import ENDED, Organisation
from tests.operate.conftest import LARGE, LARGE_ROWS, until

UNDER_WAY_MAX = 4
WAIT_SECONDS = 120


WHOLE = ("completed", LARGE_ROWS, LARGE_ROWS)


def end(organisation: Organisation, export_id: str) -> tuple[str, int, int]:
    """How the export ends, and how many rows its file has, and how many different ones: see WHOLE."""
    until(lambda: organisation.http.get(f"/v1/exports/{export_id}").json().get("status") in ENDED, WAIT_SECONDS)
    export = organisation.http.get(f"/v1/exports/{export_id}").json()
    ids = [json.loads(line)["message_id"] for line in organisation.download(export).splitlines()] if export["status"] == "completed" else []
    return export["status"], len(ids), len(set(ids))


@dataclass(frozen=True)
class Outcome:
    """What came of a flow: how many of its records are there, how its exports ended, and what was answered outside of the contract."""

    records: int
    exports: list[str]
    wrong: list[str] = field(default_factory=list)
    waiting_is_the_exception: bool = True


@dataclass
class Traffic:
    """Records and requests without a pause; 503 is tried again after what Retry-After says, as the contract asks."""

    organisation: Organisation
    mark: str = field(default_factory=lambda: f"flow_{secrets.token_hex(4)}")
    told_to_wait: int = 0
    wrong: list[str] = field(default_factory=list)
    exports: list[str] = field(default_factory=list)
    records: int = 0
    over: threading.Event = field(default_factory=threading.Event)

    def call(self, ask: Callable[[], httpx.Response], status: int) -> httpx.Response | None:
        while not self.over.is_set():
            try:
                answer = ask()
            except httpx.HTTPError as error:
                self.wrong.append(f"{type(error).__name__}: {error}")
                return None
            if answer.status_code == 503 and "Retry-After" in answer.headers:
                self.told_to_wait += 1
                self.over.wait(float(answer.headers["Retry-After"]))
                continue
            if answer.status_code != status:
                self.wrong.append(f"{answer.status_code}: {answer.text[:300]}")
            return answer
        return None

    def outcome(self, database: "psycopg.Connection[tuple[Any, ...]]") -> Outcome:
        """Once all of its exports have ended."""
        query = "SELECT count(*) FROM ingest.tags WHERE org_id = %s AND name = %s"
        row = database.execute(query, [self.organisation.org_id, self.mark]).fetchone()
        exports = []
        for export_id in self.exports:
            path = f"/v1/exports/{export_id}"
            until(lambda path=path: self.organisation.http.get(path).json().get("status") in ENDED, WAIT_SECONDS)  # type: ignore[misc]
            exports.append(self.organisation.http.get(path).json()["status"])
        return Outcome(row[0] if row else 0, exports, self.wrong, self.told_to_wait <= len(self.exports) + self.records)

    def ask(self) -> None:
        """A steady flow, and never more than a few under way: not as much as fits."""
        http = self.organisation.http
        while not self.over.is_set():
            newest = self.call(lambda: http.get("/v1/exports", params={"limit": UNDER_WAY_MAX}), 200)
            if newest is None or all(export["status"] not in ENDED for export in newest.json()["data"] or [{"status": "expired"}]):
                self.over.wait(0.3)
                continue
            key = {"Idempotency-Key": secrets.token_hex(8)}
            body = LARGE | {"to": "2026-03-02"}
            answer = self.call(lambda key=key, body=body: http.post("/v1/exports", json=body, headers=key), 202)  # type: ignore[misc]
            if answer is not None and answer.status_code == 202:
                self.exports.append(answer.json()["id"])
            self.over.wait(0.3)

    def send(self) -> None:
        while not self.over.is_set():
            line = json.dumps({"type": "tag", "id": f"{self.mark}_{self.records}", "data": {"name": self.mark}}).encode()
            answer = self.call(lambda line=line: self.organisation.http.post("/v1/records", content=line), 200)  # type: ignore[misc]
            if answer is not None and answer.status_code == 200:
                assert answer.json()["refused_count"] == 0, answer.text
                self.records += 1
            self.over.wait(0.05)


@contextmanager
def traffic(organisation: Organisation) -> Iterator[Traffic]:
    flow = Traffic(organisation)
    threads = [threading.Thread(target=work) for work in (flow.ask, flow.send)]
    for thread in threads:
        thread.start()
    try:
        yield flow
    finally:
        flow.over.set()
        for thread in threads:
            thread.join()
