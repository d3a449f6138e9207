"""The list of exports among a million past ones of one organisation, by what is asked for."""

import time
from collections.abc import Mapping

from tests.bench.context import Context
from tests.bench.report import Section
from tests.bench.stack import BenchError, Stack
from tests.bench.timing import percentile
from tests.bench.waybill import Caller

ORG, EXPORTS = "org_bench_listed", 1_000_000
REQUESTS = 200  # of each kind
TARGET = "p95 < 50 ms"
# As a past export was written, but for these: one each half minute, of every end, of 500 schedules, a tenth with a label.
CHANGED = {
    "id": "'exp_' || md5(n::text)", "created_at": "past", "completed_at": "past", "started_at": "past", "progressed_at": "past",
    "dataset": "(ARRAY['leads', 'messages', 'conversations', 'tags', 'analytics'])[1 + n %% 5]", "request_id": "NULL",
    "status": "(ARRAY['completed', 'failed', 'cancelled', 'expired'])[1 + n / 5 %% 4]", "expires_at": "now() + interval '1 year'",
    "schedule_id": "'sch_' || n %% 500", "labels": "CASE n %% 10 WHEN 0 THEN jsonb_build_object('team', 'team-' || n / 10 %% 1000) ELSE '{}' END",
}  # fmt: skip
KINDS: Mapping[str, Mapping[str, str]] = {
    "all": {}, "of a status": {"status": "failed"}, "of a dataset": {"dataset": "tags"},
    "of a status and a dataset": {"status": "expired", "dataset": "analytics"}, "of a schedule": {"schedule_id": "sch_{n}"},
    "with a label": {"label": "team=team-{n}"}, "with a label, of a dataset": {"label": "team=team-{n}", "dataset": "leads"},
    "before an instant": {"created_before": "{at}"},
}  # fmt: skip


def ensure_exports(stack: Stack) -> None:
    """The organisation with its past exports; made by SQL after one that ran, where they aren't there yet."""
    with Caller(stack, ORG) as caller:
        if caller.listed({})["data"]:
            return
        model = caller.run({"dataset": "leads", "format": "csv"}).id
    names = [str(name) for (name,) in stack.sql(
        "SELECT column_name FROM information_schema.columns WHERE (table_schema, table_name) = ('exports', 'exports') ORDER BY ordinal_position"
    )]  # fmt: skip
    values = ", ".join(CHANGED.get(name, f'e."{name}"') for name in names)
    listed = ", ".join(f'"{name}"' for name in names)
    stack.sql(
        f"""INSERT INTO exports.exports ({listed}) SELECT {values} FROM exports.exports e, generate_series(1, {EXPORTS}) n,
            LATERAL (SELECT now() - n * interval '30 s' AS past) p WHERE e.id = %s""", model,
    )  # fmt: skip
    stack.sql("VACUUM (ANALYZE) exports.exports, exports.labels")


def _parameters(kind: Mapping[str, str], number: int) -> dict[str, str]:
    at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - number * EXPORTS * 30 / REQUESTS))
    return {name: value.format(n=number, at=at) for name, value in kind.items()}


def listing(context: Context) -> Section:
    """p50 and p95 of a page of the list of exports, by filter."""
    stack, lines = context.stack, []
    stack.up()
    ensure_exports(stack)
    with Caller(stack, ORG) as caller:
        for name, kind in KINDS.items():
            seconds = []
            for number in range(REQUESTS):
                parameters, began = _parameters(kind, number), time.perf_counter()
                found = caller.listed(parameters)["data"]
                seconds.append(time.perf_counter() - began)
                if not found:
                    raise BenchError(f"the list by {parameters} is empty")
            cells = [f"{percentile(seconds, share) * 1000:.1f} ms" for share in (0.5, 0.95, 1.0)]
            context.say(f"{name}: p50 {cells[0]}, p95 {cells[1]}, longest {cells[2]}")
            lines.append([name, *cells, TARGET])
    notes = [f"{EXPORTS:,} exports of one organisation; one request after the other through the gateway, pages of the default size."]
    return Section("listing", "The list of exports among a million", ["Exports", "p50", "p95", "longest", "Target"], lines, notes)
