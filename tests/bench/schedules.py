"""Schedules that are all due in one minute: how long until the last of their runs has ended."""

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import httpx

from tests.bench.context import Context
from tests.bench.paths import HERE
from tests.bench.postgres import fill
from tests.bench.report import Section
from tests.bench.stack import DIRECTORY_STORE, BenchError, Stack

SCHEDULES, ORGANISATIONS, LEADS = 2_000, 20, 100
CRON, EVERY = "*/5 * * * *", timedelta(minutes=5)
MAKING = timedelta(minutes=2)  # what making them may take; a schedule's first window begins at the next moment of its cron expression
WAIT_SECONDS = 900


def _ensure_leads(stack: Stack, org_id: str) -> None:
    stack.api_key(org_id)
    if not stack.sql("SELECT 1 FROM ingest.leads_current WHERE org_id = %s LIMIT 1", org_id):
        fill(stack.database_url, HERE / "leads.sql", org_id=org_id, leads=LEADS)


def _make(stack: Stack, org_id: str, count: int) -> None:
    headers = {"Authorization": f"Bearer {stack.api_key(org_id)}"}
    body = {"export": {"dataset": "leads", "format": "csv"}, "cron": CRON, "timezone": "UTC"}
    with httpx.Client(base_url=stack.env["WAYBILL_URL"], headers=headers, trust_env=False, timeout=60) as http:
        for n in range(count):
            http.post("/v1/schedules", json={"name": f"Leads {n}", **body}).raise_for_status()


def _runs(stack: Stack, due: datetime) -> tuple[int, int, float, float]:
    """How many runs of the moment there are and have completed, and when (seconds after it) half of them and the last one had."""
    [(made, done, half, last)] = stack.sql(
        """SELECT count(*), count(*) FILTER (WHERE status = 'completed'),
                  coalesce(extract(epoch FROM percentile_disc(0.5) WITHIN GROUP (ORDER BY ended_at) - %s), 0)::float8,
                  coalesce(extract(epoch FROM max(ended_at) - %s), 0)::float8
           FROM exports.schedule_runs WHERE kind = 'scheduled' AND window_to = %s""",
        due, due, due,
    )  # fmt: skip
    return int(str(made)), int(str(done)), float(str(half)), float(str(last))


def schedules(context: Context) -> Section:
    """Two thousand small schedules of twenty organisations that are all due in one minute."""
    stack = context.stack
    stack.up(WAYBILL_STORE=DIRECTORY_STORE)
    organisations = [f"org_bench_schedules_{n}" for n in range(ORGANISATIONS)]
    for org_id in organisations:
        _ensure_leads(stack, org_id)
    while time.time() % EVERY.total_seconds() > (EVERY - MAKING).total_seconds():
        time.sleep(1)
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda org_id: _make(stack, org_id, SCHEDULES // ORGANISATIONS), organisations))
    [(first, due)] = stack.sql("SELECT min(next_to), max(next_to) FROM exports.schedules WHERE org_id LIKE 'org_bench_schedules_%%'")
    if not isinstance(due, datetime) or first != due:
        raise BenchError(f"{SCHEDULES} schedules were not made before the window of the first of them began")
    context.say(f"due at {due:%H:%M} UTC")
    while (datetime.now(UTC) - due).total_seconds() < WAIT_SECONDS:
        made, done, half, last = _runs(stack, due)
        if done >= SCHEDULES:
            break
        time.sleep(1)
    else:
        raise BenchError(f"{done} of {SCHEDULES} runs have completed after {WAIT_SECONDS} s")
    stack.sql("UPDATE exports.schedules SET paused_at = now() WHERE org_id LIKE 'org_bench_schedules_%%'")
    lines = [[f"{done:,}", f"{made - done:,}", f"{half:.0f} s", f"{last:.0f} s", f"{SCHEDULES / last:.1f}", "≤ 300 s, none twice"]]
    columns = ["Runs", "Of them twice", "Half have ended after", "The last one", "Runs a second", "Target"]
    notes = [
        f"Exports of {LEADS} leads as CSV, of {ORGANISATIONS} organisations; runs are spread over two minutes by `WAYBILL_SCHEDULE_SPREAD_SECONDS`."
    ]
    return Section("schedules", f"{SCHEDULES:,} schedules due in one minute", columns, lines, notes)
