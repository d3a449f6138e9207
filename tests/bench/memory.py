"""Peak memory of every service: after a small export, after a large one, and after one whose rows are 5 MB each."""

from tests.bench.context import Context
from tests.bench.data import FROM, TO, WIDE_ORG, ensure_messages, ensure_wide
from tests.bench.report import Section
from tests.bench.stack import DIRECTORY_STORE, SERVICES, BenchError
from tests.bench.waybill import Caller

SMALL_ROWS = 10_000
GROUPS = {"ingest": ["ingest"], "export_request": ["export_request"], "formatter": ["formatter-1", "formatter-2"], "delivery": ["delivery"]}


def memory(context: Context) -> Section:
    """VmHWM by service, reset before each export; processes are not restarted between them."""
    stack = context.stack
    stack.up(WAYBILL_STORE=DIRECTORY_STORE)
    data = ensure_messages(stack, context.rows)
    wide = ensure_wide(stack)
    stack.stop(*SERVICES)
    stack.start(*SERVICES)
    start, end = data.span(0, SMALL_ROWS)
    with Caller(stack, data.org_id) as caller, Caller(stack, WIDE_ORG) as wide_caller:
        small_body: dict[str, object] = {"dataset": "messages", "format": "csv", "from": start, "to": end}
        for _ in range(6):  # both formatters have had a chunk, and every code path has run
            caller.run(small_body)
        small = _peaks(context, caller, small_body)
        large = _peaks(context, caller, {"dataset": "messages", "format": "csv", "from": FROM, "to": TO})
        notes: list[str] = []
        try:
            heavy = _peaks(context, wide_caller, {"dataset": "conversations", "format": "jsonl", "from": FROM, "to": TO})
        except BenchError as error:
            heavy, notes = stack.processes.peaks(SERVICES), [f"The export of wide rows did not complete: {error}"]
    lines = []
    for service, names in GROUPS.items():
        a, b, c = (max(peaks[name] for name in names) for peaks in (small, large, heavy))
        lines.append([service, f"{a / 2**20:.0f} MiB", f"{b / 2**20:.0f} MiB", f"{100 * (b / a - 1):+.0f} %", f"{c / 2**20:.0f} MiB"])
    columns = ["Service", f"{SMALL_ROWS:,} rows", f"{data.rows:,} rows", "Growth (target < 10 %)", f"{wide} conversations of 5 MB"]
    notes.append("Of the two formatters the larger one: a small export is one chunk, which one of them formats.")
    return Section("memory", "Peak memory", columns, lines, notes)


def _peaks(context: Context, caller: Caller, body: dict[str, object]) -> dict[str, int]:
    """Peak memory of each service over one export, in bytes."""
    processes = context.stack.processes
    processes.reset_peaks(SERVICES)
    done = caller.run(body)
    peaks = processes.peaks(SERVICES)
    caller.cancel_or_delete(done.id)
    context.say(f"{done.rows:,} rows: {', '.join(f'{name} {size / 2**20:.0f} MiB' for name, size in peaks.items())}")
    return peaks
