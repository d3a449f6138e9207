"""An organisation of its own for every test module, and a small client that waits on conditions."""

import json
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conftest import Stack

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
ENDED = {"completed", "failed", "cancelled", "expired"}
WAIT_SECONDS = 60


@dataclass
class Organisation:
    """An organisation and a client with its admin key."""

    org_id: str
    api_key: str
    http: httpx.Client

    def ask(self, body: dict[str, Any], key: str = "") -> dict[str, Any]:
        response = self.http.post("/v1/exports", json=body, headers={"Idempotency-Key": key} if key else {})
        assert response.status_code == 202, response.text
        export: dict[str, Any] = response.json()
        return export

    def ended(self, export_id: str) -> dict[str, Any]:
        """The export once it has ended."""
        deadline = time.monotonic() + WAIT_SECONDS
        with self.http.stream("GET", f"/v1/exports/{export_id}/events", timeout=WAIT_SECONDS) as events:
            for _ in events.iter_lines():
                assert time.monotonic() < deadline
        export: dict[str, Any] = self.http.get(f"/v1/exports/{export_id}").raise_for_status().json()
        assert export["status"] in ENDED, export
        return export

    def completed(self, body: dict[str, Any]) -> dict[str, Any]:
        export = self.ended(self.ask(body)["id"])
        assert export["status"] == "completed", export
        return export

    def download(self, export: dict[str, Any], number: int = 0) -> bytes:
        response = self.http.get(export["files"][number]["url"])
        assert response.status_code == 200, response.text
        return response.content

    def send(self, lines: bytes) -> dict[str, Any]:
        response = self.http.post("/v1/records", content=lines, headers={"Content-Type": "application/x-ndjson"}, timeout=60)
        assert response.status_code == 200, response.text
        answer: dict[str, Any] = response.json()
        return answer

    def settled(self, scores: dict[str, int]) -> None:
        """Returns once lead_scoring has given these leads these scores."""
        deadline = time.monotonic() + WAIT_SECONDS
        got: dict[str, Any] = {}
        while got != scores:
            assert time.monotonic() < deadline, {lead: (score, scores[lead]) for lead, score in got.items() if score != scores[lead]}
            time.sleep(0.1)
            got = {lead: self.http.get(f"/v1/leads/{lead}/score").raise_for_status().json()["score"] for lead in scores}


def new_organisation(stack: Stack, name: str = "Synaptiq") -> Organisation:
    response = httpx.post(
        f"{stack.url}/v1/organisations", json={"org_id": f"org_{secrets.token_hex(6)}", "name": name},
        headers={"Authorization": f"Bearer {stack.env['WAYBILL_OPERATOR_TOKEN']}"},
    )  # fmt: skip
    assert response.status_code == 201, response.text
    made = response.json()
    client = httpx.Client(base_url=stack.url, headers={"Authorization": f"Bearer {made['api_key']}"}, timeout=30)
    return Organisation(made["org_id"], made["api_key"], client)


@pytest.fixture(scope="module")
def organisation(stack: Stack) -> Iterator[Organisation]:
    made = new_organisation(stack)
    yield made
    made.http.close()


@pytest.fixture(scope="session")
def cases() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((EXAMPLES / "cases.json").read_text("utf-8"))
    return loaded


def with_examples(stack: Stack, cases: dict[str, Any]) -> Organisation:
    """A new organisation with the example's settings and records."""
    made = new_organisation(stack)
    settings = {name: cases["settings"][name] for name in ("name", "timezone", "custom_properties")}
    assert made.http.patch("/v1/settings", json=settings).status_code == 200
    assert made.send((EXAMPLES / "records.ndjson").read_bytes())["refused_count"] == 0
    return made


@pytest.fixture(scope="module")
def sample(stack: Stack, cases: dict[str, Any]) -> Iterator[Organisation]:
    """An organisation with the example's settings and records."""
    made = with_examples(stack, cases)
    yield made
    made.http.close()
