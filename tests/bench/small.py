"""Small exports: from the request to the file, on an idle system and while a large export runs."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from tests.bench.context import Context
from tests.bench.data import FROM, TO, MessageSet, ensure_messages
from tests.bench.report import Section
from tests.bench.stack import DIRECTORY_STORE
from tests.bench.timing import percentile
from tests.bench.waybill import Caller

ROWS = 100


def _measure(caller: Caller, data: MessageSet, runs: int, busy: threading.Event | None) -> tuple[list[float], int]:
    """Seconds of each small export, each over another range; stops when what keeps the system busy has ended."""
    seconds: list[float] = []
    rows = 0
    for number in range(runs):
        if busy is not None and not busy.is_set():
            break
        start, end = data.span(number * (data.rows // runs), ROWS)
        done = caller.run({"dataset": "messages", "format": "csv", "from": start, "to": end})
        seconds.append(done.seconds)
        rows += done.rows
    return seconds, rows // max(1, len(seconds))


@contextmanager
def _busy(context: Context, data: MessageSet) -> Iterator[threading.Event]:
    """Set while large exports run, one after the other; the last one is cancelled at the end."""
    running, stop, began = threading.Event(), threading.Event(), threading.Event()

    def work() -> None:
        try:
            with Caller(context.stack, data.org_id) as caller:
                while not stop.is_set():
                    export_id = str(caller.request({"dataset": "messages", "format": "csv", "from": FROM, "to": TO})["id"])
                    while caller.get(export_id)["progress"]["chunks_done"] == 0 and not stop.is_set():
                        stop.wait(0.1)
                    running.set()
                    began.set()
                    while not stop.is_set() and caller.get(export_id)["status"] not in ("completed", "failed"):
                        stop.wait(0.1)
                    caller.cancel_or_delete(export_id)
        finally:
            running.clear()
            began.set()

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    began.wait(120)
    try:
        yield running
    finally:
        stop.set()
        thread.join()


def small(context: Context) -> Section:
    """p50 and p95 of 100-row exports, idle and busy."""
    stack = context.stack
    stack.up(WAYBILL_STORE=DIRECTORY_STORE)
    data = ensure_messages(stack, context.rows)
    with Caller(stack, data.org_id) as caller:
        _measure(caller, data, 5, None)
        idle, rows = _measure(caller, data, context.small_runs, None)
        context.say(f"idle: p50 {percentile(idle, 0.5) * 1000:.0f} ms, p95 {percentile(idle, 0.95) * 1000:.0f} ms")
        with _busy(context, data) as running:
            busy, _ = _measure(caller, data, context.small_runs, running)
        context.say(f"busy: p50 {percentile(busy, 0.5) * 1000:.0f} ms, p95 {percentile(busy, 0.95) * 1000:.0f} ms")
    lines = [
        [name, str(len(values)), *(f"{percentile(values, share) * 1000:.0f} ms" for share in (0.5, 0.95, 1.0)), target]
        for name, values, target in (
            ("idle", idle, "p50 < 100 ms, p95 < 300 ms"),
            (f"while exports of {data.rows:,} rows run", busy, "p95 < 600 ms"),
        )
    ]
    notes = [f"About {rows} rows each; the end is read from the export's server-sent events.",
             f"p95 busy is {percentile(busy, 0.95) / percentile(idle, 0.95):.1f} × idle (aim: 2)."]  # fmt: skip
    return Section("small", "Small exports", ["System", "Exports", "p50", "p95", "longest", "Target"], lines, notes)
