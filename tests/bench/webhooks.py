"""Webhooks: deliveries a second from one process of delivery to receivers on loopback, and beside endpoints that hang."""

import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import httpx

from tests.bench.context import Context
from tests.bench.paths import ROOT
from tests.bench.report import Section
from tests.bench.stack import BenchError, Stack

DELIVERIES = 10_000
ORGANISATIONS, ENDPOINTS = 10, 4  # endpoints of each
HANGING = 20
TARGET = 1000

# What the intake writes for an event, for many events at once: the queue is full when delivery starts.
_FILL = """
WITH made AS (
    INSERT INTO delivery.webhook_deliveries (id, org_id, endpoint_id, webhook_id, event, payload, status, created_at)
    SELECT 'whd_' || e.id || '_' || n, e.org_id, e.id, 'evt_bench' || n, 'export.completed',
        json_build_object('type', 'export.completed', 'data', json_build_object('id', 'exp_' || n, 'text', repeat('x', 300)))::text, 'pending', now()
    FROM delivery.webhook_endpoints e CROSS JOIN generate_series(1, %s) n RETURNING id, endpoint_id, org_id
)
INSERT INTO delivery.webhook_queue (delivery_id, endpoint_id, org_id, due_at) SELECT id, endpoint_id, org_id, now() FROM made
"""


@dataclass(frozen=True)
class _Run:
    seconds: float
    cpu: dict[str, float]


@contextmanager
def _receiver() -> Iterator[str]:
    """A receiver in a process of its own; its URL. `/hang` never answers."""
    process = subprocess.Popen([sys.executable, "-m", "tests.bench.webhook_receiver"], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
    finally:
        process.terminate()
        process.wait()


def _subscribe(stack: Stack, url: str, organisation: int, path: str) -> None:
    key = stack.api_key(f"org_hooks{organisation}")
    made = httpx.post(
        f"{stack.env['WAYBILL_URL']}/v1/webhook-endpoints",
        json={"url": f"{url}{path}"},
        headers={"Authorization": f"Bearer {key}"},
        timeout=30,
    )
    if made.status_code != 201:
        raise BenchError(f"a webhook endpoint could not be made: {made.text}")


def _run(context: Context, url: str, hanging: int) -> _Run:
    """Fill the queue while delivery is stopped, start it, and take the time from its first attempt to the last end of a good delivery."""
    stack = context.stack
    stack.sql("DELETE FROM delivery.webhook_endpoints")
    for organisation in range(ORGANISATIONS):
        for endpoint in range(ENDPOINTS):
            _subscribe(stack, url, organisation, f"/{secrets.token_hex(4)}/{endpoint}")
    for number in range(hanging):
        _subscribe(stack, url, number % ORGANISATIONS, f"/hang/{number}")
    stack.stop("delivery")
    stack.sql(_FILL, DELIVERIES // (ORGANISATIONS * ENDPOINTS))
    stack.sql("VACUUM ANALYZE delivery.webhook_deliveries, delivery.webhook_queue")
    before = stack.processes.cpu_seconds(["postgres"])
    stack.start("delivery")
    waiting = """SELECT count(*) FROM delivery.webhook_deliveries d JOIN delivery.webhook_endpoints e ON e.id = d.endpoint_id
                 WHERE d.status = 'pending' AND e.url NOT LIKE '%%/hang/%%'"""
    deadline = time.monotonic() + 120
    while stack.sql(
        waiting,
    )[0][0]:
        if time.monotonic() > deadline:
            raise BenchError("the webhooks were not delivered within two minutes")
        time.sleep(0.2)
    after = stack.processes.cpu_seconds(["postgres", "delivery"])
    span = """SELECT extract(epoch FROM max(d.ended_at) - min(a.at))::float8 FROM delivery.webhook_deliveries d
              JOIN delivery.webhook_attempts a ON a.delivery_id = d.id JOIN delivery.webhook_endpoints e ON e.id = d.endpoint_id
              WHERE e.url NOT LIKE '%%/hang/%%'"""
    (seconds,) = stack.sql(span)[0]
    return _Run(float(str(seconds)), {"postgres": after["postgres"] - before["postgres"], "delivery": after["delivery"]})


def webhooks(context: Context) -> Section:
    """Deliveries a second from one process, signed, recorded, on loopback."""
    stack = context.stack
    stack.up()
    lines, notes = [], []
    try:
        with _receiver() as url:
            for title, hanging in (
                ("40 endpoints of 10 organisations", 0),
                (f"the same beside {HANGING} endpoints that never answer", HANGING),
            ):
                runs = [_run(context, url, hanging) for _ in range(context.rounds)]
                rates = sorted(DELIVERIES / run.seconds for run in runs)
                context.say(f"{title}: {', '.join(f'{rate:,.0f}/s' for rate in rates)}")
                target = f"≥ {TARGET:,}" if not hanging else ""
                lines.append([title, f"{rates[len(rates) // 2]:,.0f} ({', '.join(f'{rate:,.0f}' for rate in rates)})", target])
                cpu = runs[-1].cpu
                notes.append(
                    f"CPU seconds of the last run ({title}): delivery {cpu['delivery']:.1f} with its start, postgres {cpu['postgres']:.1f}."
                )
    finally:
        stack.sql("DELETE FROM delivery.webhook_endpoints")
    notes.append(
        f"{DELIVERIES:,} deliveries wait when delivery starts; from the first attempt to the last recorded end. The receiver is a process of its own."
    )
    return Section("webhooks", "Webhooks", ["What", "Deliveries/s, one process (runs)", "Target"], lines, notes)
