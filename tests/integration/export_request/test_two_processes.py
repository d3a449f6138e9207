"""Two processes of export_request share the work; one that is killed in the middle loses nothing."""

import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import psycopg
import pytest

from tests.conftest import ROOT, Stack

WAIT_SECONDS = 60
ENDED = {"completed", "failed", "cancelled", "expired"}


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@dataclass
class Second:
    """The process beside the stack's own."""

    process: subprocess.Popen[bytes]
    url: str

    def ready(self) -> bool:
        assert self.process.poll() is None
        try:
            return httpx.get(f"{self.url}/health/ready").status_code == 200
        except httpx.HTTPError:
            return False


@pytest.fixture
def second(stack: Stack) -> Iterator[Second]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    environment = os.environ | {
        "WAYBILL_KAFKA": stack.kafka,
        "WAYBILL_EXPORT_REQUEST_DATABASE_URL": f"{stack.database_url}?role=waybill_export_request",
        "WAYBILL_EXPORT_REQUEST_HTTP": address,
        "WAYBILL_SECRET_KEY": secrets.token_hex(32),
        "WAYBILL_PLAN_LEASE_SECONDS": "2",
        "WAYBILL_LOG_LEVEL": "ERROR",
    }
    process = subprocess.Popen([sys.executable, "-m", "services.export_request"], cwd=ROOT, env=environment)
    made = Second(process, f"http://{address}")
    try:
        until(made.ready)
        yield made
    finally:
        if process.poll() is None:
            process.terminate()
        process.wait(30)


@pytest.fixture
def caller(stack: Stack) -> Iterator[httpx.Client]:
    """A client of a fresh organisation with 300 leads; give it whole URLs."""
    org_id = f"org_{secrets.token_hex(6)}"
    operator = {"Authorization": f"Bearer {stack.env['WAYBILL_OPERATOR_TOKEN']}"}
    made = httpx.post(f"{stack.url}/v1/organisations", json={"org_id": org_id, "name": "Acme"}, headers=operator).raise_for_status().json()
    with psycopg.connect(stack.database_url) as connection:
        connection.execute(
            "INSERT INTO ingest.leads (org_id, id, email, status, source, tags, custom_properties, created_at)"
            " SELECT %s, 'lead_' || i, 'a@b.example', 'new', 'chat', '{}', '{}', '2026-03-01T00:00:00Z'::timestamptz + i * interval '1 s'"
            " FROM generate_series(1, 300) i", (org_id,),
        )  # fmt: skip
    with httpx.Client(headers={"Authorization": f"Bearer {made['api_key']}"}, timeout=30) as client:
        yield client


def ask(caller: httpx.Client, base: str, **more: Any) -> str:
    answer = caller.post(f"{base}/v1/exports", json={"dataset": "leads", "format": "jsonl", **more})
    assert answer.status_code == 202, answer.text
    export_id: str = answer.json()["id"]
    return export_id


def ends(caller: httpx.Client, base: str, ids: list[str]) -> list[tuple[str, int]]:
    """How each of the exports ends, and with how many rows."""
    views: dict[str, dict[str, Any]] = {}

    def ended() -> bool:
        for export_id in ids:
            if views.get(export_id, {}).get("status") not in ENDED:
                views[export_id] = caller.get(f"{base}/v1/exports/{export_id}").raise_for_status().json()
        return all(view["status"] in ENDED for view in views.values())

    until(ended)
    return [(views[each]["status"], views[each]["progress"]["rows_written"]) for each in ids]


def test_two_processes_share_the_work(stack: Stack, second: Second, caller: httpx.Client) -> None:
    ids = [ask(caller, base, max_rows_per_file=100) for _ in range(3) for base in (stack.url, second.url)]
    assert ends(caller, stack.url, ids) == [("completed", 300)] * 6
    ids = [caller.post(f"{base}/v1/exports", json={"dataset": "leads"}, headers={"Idempotency-Key": "one"}).json()["id"]
           for base in (stack.url, second.url)]  # fmt: skip
    assert ids[0] == ids[1]


def test_a_killed_process_loses_nothing(stack: Stack, second: Second, caller: httpx.Client) -> None:
    ids = [ask(caller, second.url, max_rows_per_file=50) for _ in range(4)]
    second.process.send_signal(signal.SIGKILL)
    second.process.wait(10)
    assert ends(caller, stack.url, ids) == [("completed", 300)] * 4
