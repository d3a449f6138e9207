"""PDF reports of a year beside what else makes a comparable PDF of the same figures."""

from ctypes.util import find_library
from functools import partial

import httpx

from tests.bench.context import Context
from tests.bench.data import ensure_messages
from tests.bench.paths import HERE, OUT, PEERS_PYTHON
from tests.bench.peers import others
from tests.bench.report import Section, seconds_cell
from tests.bench.stack import DIRECTORY_STORE, BenchError, Stack
from tests.bench.timing import Run, interleave, ratio
from tests.bench.waybill import Caller, Done

YEAR = {"dataset": "analytics", "from": "2026-01-01", "to": "2027-01-01", "granularity": "day", "timezone": "UTC"}
DAYS = 365


def _export(caller: Caller, format_: str) -> float:
    done = caller.run(YEAR | {"format": format_})
    if done.rows != DAYS:
        raise BenchError(f"export {done.id} has {done.rows} rows instead of {DAYS}")
    caller.cancel_or_delete(done.id)
    return done.seconds


def _figures(stack: Stack, caller: Caller, done: Done) -> str:
    """The csv that peers draw."""
    headers = {"Authorization": f"Bearer {stack.api_key(caller.org_id)}"}
    url = str(httpx.URL(stack.env["WAYBILL_URL"]).join(done.export["files"][0]["url"]))
    answer = httpx.get(url, headers=headers, trust_env=False, follow_redirects=True).raise_for_status()
    path = OUT / "analytics.csv"
    path.write_bytes(answer.content)
    return str(path)


def reports(context: Context) -> Section:
    """A report of a year by day over a third of the messages, against WeasyPrint and ReportLab, which are given the figures."""
    stack = context.stack
    stack.up(WAYBILL_STORE=DIRECTORY_STORE)
    data = ensure_messages(stack, context.rows // 3)
    script, target = str(HERE / "peers" / "report_pdf.py"), str(OUT / "peer.pdf")
    with Caller(stack, data.org_id) as caller:
        figures = _figures(stack, caller, caller.run(YEAR | {"format": "csv"}))
        ways = ["reportlab"] + ["weasyprint"] * (find_library("pango-1.0") is not None)
        peers: dict[str, Run] = {way: partial(others.run, [str(PEERS_PYTHON), script, way, figures, target], {}) for way in ways}
        ours: dict[str, Run] = {"pdf": partial(_export, caller, "pdf"), "csv": partial(_export, caller, "csv")}
        seconds = interleave(ours | peers, context.rounds, context.say)
    names = {
        "pdf": "Waybill, `pdf`, from the request to the file: queries, charts, table, tags", "csv": "Waybill, `csv` of the same", "weasyprint": "WeasyPrint, given the figures: charts as SVG, table, PDF/UA-1",
        "reportlab": "ReportLab, given the figures: charts, table, no tags",
    }  # fmt: skip
    lines = [[names[n], seconds_cell(seconds[n]), f"{ratio(seconds[n], seconds['pdf']):.2f}"] for n in names if n in seconds]
    notes = [f"{DAYS} days over {data.rows:,} messages."]
    if "weasyprint" not in seconds:
        notes.append("WeasyPrint was left out: it needs Pango (Debian: libpango-1.0-0, libpangoft2-1.0-0).")
    return Section("reports", "A report of a year as PDF", ["What", "Median (runs)", "Ratio to Waybill's pdf"], lines, notes)
