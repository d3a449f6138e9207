"""Nested JSON of leads beside PostgreSQL's own, workbooks beside what else writes them, Parquet beside `psql \\copy`, and several formats of one scan."""

from functools import partial
from statistics import median

from tests.bench.context import Context
from tests.bench.data import FROM, TO, ensure_messages
from tests.bench.paths import HERE, OUT, PEERS_PYTHON
from tests.bench.peers import others, psql
from tests.bench.postgres import fill
from tests.bench.report import Section, seconds_cell
from tests.bench.stack import DIRECTORY_STORE, BenchError, Stack
from tests.bench.timing import interleave, ratio
from tests.bench.waybill import Caller

LEADS = 500_000
ORG = f"org_bench_leads_{LEADS}"
QUERY = f"""SELECT l.id, l.email, l.name, l.phone, l.company, l.status, coalesce(s.score, 0) AS score, l.source_url, l.created_at AT TIME ZONE 'UTC' AS created_at,
    l.last_activity_at AT TIME ZONE 'UTC' AS last_activity_at, array_to_string(l.tags, ',') AS tags, coalesce(a.email, l.assigned_to) AS assigned_to
    FROM ingest.leads_current l LEFT JOIN ingest.lead_scores_current s ON (s.org_id, s.id) = (l.org_id, l.id)
    LEFT JOIN ingest.agents_current a ON (a.org_id, a.id) = (l.org_id, l.assigned_to) WHERE l.org_id = '{ORG}' ORDER BY l.created_at, l.id"""


NESTED_LEADS = 200_000
NESTED_ORG = "org_bench_nested"
TUNED = "SET work_mem = '1GB'"


def _ensure_leads(stack: Stack, org_id: str = ORG, leads: int = LEADS) -> bool:
    """Whether they had to be made."""
    stack.api_key(org_id)
    if stack.sql("SELECT 1 FROM ingest.leads_current WHERE org_id = %s LIMIT 1", org_id):
        return False
    fill(stack.database_url, HERE / "leads.sql", org_id=org_id, leads=leads)
    return True


def _export(caller: Caller, rows: int, **body: object) -> float:
    done = caller.run(body)
    if any(file["rows"] != rows for file in done.export["files"]):
        raise BenchError(f"export {done.id} has {done.rows} rows instead of {rows} a file")
    caller.cancel_or_delete(done.id)
    return done.seconds


def ensure_nested(stack: Stack) -> None:
    """An organisation whose leads have conversations."""
    if _ensure_leads(stack, NESTED_ORG, NESTED_LEADS):
        fill(stack.database_url, HERE / "nested.sql", org_id=NESTED_ORG)


def nested(context: Context) -> Section:
    """200,000 leads with their conversations as JSON lines into a directory against `psql \\copy` of json_agg."""
    stack = context.stack
    stack.up(WAYBILL_STORE=DIRECTORY_STORE)
    ensure_nested(stack)
    query = psql.nested_query(stack.database_url, NESTED_ORG)
    with Caller(stack, NESTED_ORG) as caller:
        seconds = interleave({
            "Waybill": partial(_export, caller, NESTED_LEADS, dataset="leads", format="jsonl"),
            "psql": lambda: psql.copy_lines(stack.database_url, query, OUT / "psql.jsonl"),
            "psql, tuned": lambda: psql.copy_lines(stack.database_url, query, OUT / "psql.jsonl", TUNED),
        }, context.rounds, context.say)  # fmt: skip
    lines = [
        ["Waybill, `jsonl`", seconds_cell(seconds["Waybill"]), f"**{ratio(seconds['Waybill'], seconds['psql']):.2f}**", "≤ 0.6"],
        ["`psql \\copy` of json_agg", seconds_cell(seconds["psql"]), "1.00", ""],
        [f"the same after `{TUNED}`", seconds_cell(seconds["psql, tuned"]), f"{ratio(seconds['psql, tuned'], seconds['psql']):.2f}", ""],
    ]
    columns = ["What", "Median (runs)", "Ratio to json_agg", "Target"]
    return Section("nested", "200,000 leads with their 300,000 conversations as JSON", columns, lines, [])


def xlsx(context: Context) -> Section:
    """XLSX of 500,000 leads into a directory against xlsxwriter and rust_xlsxwriter's Python binding, which read the same rows by psycopg2."""
    stack = context.stack
    stack.up(WAYBILL_STORE=DIRECTORY_STORE)
    _ensure_leads(stack)
    script, target = str(HERE / "peers" / "workbooks.py"), str(OUT / "peer.xlsx")
    with Caller(stack, ORG) as caller:
        seconds = interleave({
            "Waybill": partial(_export, caller, LEADS, dataset="leads", format="xlsx"),
            "rust": lambda: others.run([str(PEERS_PYTHON), script, "rust", stack.database_url, QUERY, target], {}),
            "xlsxwriter": lambda: others.run([str(PEERS_PYTHON), script, "xlsxwriter", stack.database_url, QUERY, target], {}),
        }, context.rounds, context.say)  # fmt: skip
    names = {
        "Waybill": ("Waybill, `xlsx`, default options", ""), "rust": ("rust_xlsxwriter (rustpy-xlsxwriter)", "≥ 3"),
        "xlsxwriter": ("xlsxwriter, constant memory", "≥ 15"),
    }  # fmt: skip
    lines = [
        [what, seconds_cell(seconds[n]), f"{ratio(seconds[n], seconds['Waybill']):.1f}", target] for n, (what, target) in names.items()
    ]
    return Section("xlsx", "XLSX of 500,000 leads", ["What", "Median (runs)", "Ratio to Waybill", "Target"], lines, [])


def parquet(context: Context) -> Section:
    """Parquet of messages into a directory against `psql \\copy` of the same join to CSV."""
    stack = context.stack
    stack.up(WAYBILL_STORE=DIRECTORY_STORE)
    data = ensure_messages(stack, context.rows)
    query = psql.messages_query(stack.database_url, data.org_id)
    with Caller(stack, data.org_id) as caller:
        seconds = interleave({
            "Waybill": partial(_export, caller, data.rows, dataset="messages", format="parquet", **{"from": FROM, "to": TO}),
            "psql": lambda: psql.copy_csv(stack.database_url, query, OUT / "psql.csv"),
        }, context.rounds, context.say)  # fmt: skip
    lines = [
        ["Waybill, `parquet`", seconds_cell(seconds["Waybill"]), f"**{ratio(seconds['Waybill'], seconds['psql']):.2f}**", "≤ 0.75"],
        ["`psql \\copy` of the join to CSV", seconds_cell(seconds["psql"]), "1.00", ""],
    ]
    return Section("parquet", "Parquet into a directory", ["What", "Median (runs)", "Ratio to `psql \\copy`", "Target"], lines, [])


def together(context: Context) -> Section:
    """CSV, XLSX and Parquet of 500,000 leads in one request against the slowest of them alone."""
    stack = context.stack
    stack.up(WAYBILL_STORE=DIRECTORY_STORE)
    _ensure_leads(stack)
    formats = ("csv", "xlsx", "parquet")
    with Caller(stack, ORG) as caller:
        alone = {name: partial(_export, caller, LEADS, dataset="leads", format=name) for name in formats}
        seconds = interleave(
            {**alone, "together": partial(_export, caller, LEADS, dataset="leads", formats=list(formats))}, context.rounds, context.say
        )
    slowest = max((seconds[name] for name in formats), key=median)
    lines = [[f"`{name}` alone", seconds_cell(seconds[name]), f"{ratio(seconds[name], slowest):.2f}", ""] for name in formats]
    lines.append(["all three", seconds_cell(seconds["together"]), f"**{ratio(seconds['together'], slowest):.2f}**", "≤ 1.4"])
    return Section("together", "Three formats in one request", ["What", "Median (runs)", "Ratio to the slowest alone", "Target"], lines, [])
