"""Large exports of the dataset `messages`, from the request to the published file, beside what PostgreSQL, DuckDB, sling and dlt take."""

import shutil
from collections.abc import Callable
from statistics import median

from tests.bench.context import Context
from tests.bench.data import FROM, TO, ensure_messages
from tests.bench.equality import fingerprint
from tests.bench.paths import OUT
from tests.bench.peers import duck, others, psql
from tests.bench.report import Section, seconds_cell
from tests.bench.stack import DIRECTORY_STORE, BenchError
from tests.bench.timing import Run, interleave, ratio
from tests.bench.waybill import Caller, Done

COLUMNS = ["What", "Median (runs)", "Ratio to `psql \\copy`", "Target"]
TUNED = "SET work_mem = '2GB'"


def _body(**more: object) -> dict[str, object]:
    return {"dataset": "messages", "from": FROM, "to": TO, **more}


def _export(caller: Caller, rows: int, body: dict[str, object]) -> float:
    """One export, checked for its number of rows and deleted; its seconds."""
    done = caller.run(body)
    _check_rows(done, rows)
    caller.cancel_or_delete(done.id)
    return done.seconds


def _check_rows(done: Done, rows: int) -> None:
    if done.rows != rows:
        raise BenchError(f"export {done.id} has {done.rows} rows instead of {rows}")


def csv(context: Context) -> Section:
    """Plain CSV into a directory against `psql \\copy`; then sling and dlt, once each."""
    stack = context.stack
    stack.up(WAYBILL_STORE=DIRECTORY_STORE)
    data = ensure_messages(stack, context.rows)
    query = psql.messages_query(stack.database_url, data.org_id)
    target = OUT / "psql.csv"
    with Caller(stack, data.org_id) as caller:
        same = _same_content(context, caller, query)
        seconds = interleave({
            "Waybill": lambda: _export(caller, data.rows, _body(format="csv")),
            "psql": lambda: psql.copy_csv(stack.database_url, query, target),
            "psql, tuned": lambda: psql.copy_csv(stack.database_url, query, target, TUNED),
        }, context.rounds, context.say)  # fmt: skip
    size = target.stat().st_size
    others_lines = _others(context, query, seconds["psql"])
    lines = [
        [
            "Waybill, `csv`, default options",
            seconds_cell(seconds["Waybill"]),
            f"**{ratio(seconds['Waybill'], seconds['psql']):.2f}**",
            "≤ 1.0",
        ],
        ["`psql \\copy` of the join", seconds_cell(seconds["psql"]), "1.00", ""],
        [f"the same after `{TUNED}`", seconds_cell(seconds["psql, tuned"]), f"{ratio(seconds['psql, tuned'], seconds['psql']):.2f}", ""],
        *others_lines,
    ]
    tuned = f"Against the tuned `psql` Waybill's ratio is {ratio(seconds['Waybill'], seconds['psql, tuned']):.2f}."
    return Section("csv", "Plain CSV into a directory", COLUMNS, lines, [same, tuned, f"`psql` wrote {size / 1e9:.2f} GB."])


def _same_content(context: Context, caller: Caller, query: str) -> str:
    """Compare all cells of both files, with the guard off and times in UTC; raises BenchError where they differ."""
    done = caller.run(_body(format="csv", spreadsheet_safe=False, timezone="UTC"))
    target = OUT / "psql.csv"
    psql.copy_csv(context.stack.database_url, query, target)
    ours, theirs = fingerprint(context.stack.store_path(done.keys()[0])), fingerprint(target)
    caller.cancel_or_delete(done.id)
    if ours != theirs:
        raise BenchError(f"the files differ: Waybill {ours[0]} rows, hash {ours[1]}; psql {theirs[0]} rows, hash {theirs[1]}")
    return f"Both files were compared: {ours[0]:,} rows, every cell the same and in the same order (guard off, times in UTC)."


def _others(context: Context, query: str, reference: list[float]) -> list[list[str]]:
    """sling and dlt once each, bounded in time."""
    lines = []
    runs: list[tuple[str, Callable[[], float | None]]] = [
        ("sling, the same query to CSV", lambda: others.sling(context.stack.database_url, query, OUT / "sling.csv")),
        ("dlt, the same query as a view to CSV (ConnectorX)", lambda: others.dlt(context.stack.database_url, query, OUT / "dlt_csv")),
    ]
    for what, run in runs:
        seconds = run()
        context.say(f"{what}: {seconds}")
        if seconds is None:
            lines.append([what, f"over {others.SECONDS_MAX} s, stopped", f"> {others.SECONDS_MAX / median(reference):.0f}", ""])
        else:
            lines.append([what, seconds_cell([seconds]), f"{seconds / median(reference):.2f}", ""])
    shutil.rmtree(OUT / "dlt_csv", ignore_errors=True)
    (OUT / "sling.csv").unlink(missing_ok=True)
    return lines


def gzip_s3(context: Context) -> Section:
    """Gzip CSV into S3 against plain `psql \\copy` into a file."""
    stack = context.stack
    stack.up(WAYBILL_STORE="s3")
    data = ensure_messages(stack, context.rows)
    query = psql.messages_query(stack.database_url, data.org_id)
    with Caller(stack, data.org_id) as caller:
        seconds = interleave({
            "Waybill": lambda: _export(caller, data.rows, _body(format="csv", compression="gzip")),
            "psql": lambda: psql.copy_csv(stack.database_url, query, OUT / "psql.csv"),
            "psql, tuned": lambda: psql.copy_csv(stack.database_url, query, OUT / "psql.csv", TUNED),
        }, context.rounds, context.say)  # fmt: skip
    lines = [
        [
            "Waybill, `csv`, `gzip`, into S3",
            seconds_cell(seconds["Waybill"]),
            f"**{ratio(seconds['Waybill'], seconds['psql']):.2f}**",
            "≤ 1.2",
        ],
        ["`psql \\copy` of the join, plain, into a file", seconds_cell(seconds["psql"]), "1.00", ""],
        [f"the same after `{TUNED}`", seconds_cell(seconds["psql, tuned"]), f"{ratio(seconds['psql, tuned'], seconds['psql']):.2f}", ""],
    ]
    tuned = f"Against the tuned `psql` Waybill's ratio is {ratio(seconds['Waybill'], seconds['psql, tuned']):.2f}."
    return Section("gzip-s3", "Gzip CSV into an S3 store", COLUMNS, lines, [tuned])


def jsonl(context: Context) -> Section:
    """JSON lines into a directory against DuckDB, which joins in PostgreSQL or by itself."""
    stack = context.stack
    stack.up(WAYBILL_STORE=DIRECTORY_STORE)
    data = ensure_messages(stack, context.rows)
    target = OUT / "duckdb.jsonl"
    ways = {
        "DuckDB, join in PostgreSQL": duck.select(psql.messages_query(stack.database_url, data.org_id)),
        "DuckDB, join in DuckDB": duck.select_joining(data.org_id, psql.snapshot(stack.database_url), FROM, TO),
    }
    with Caller(stack, data.org_id) as caller:
        done = caller.run(_body(format="jsonl", timezone="UTC"))
        _check_rows(done, data.rows)
        for select in ways.values():
            duck.write_jsonl(stack.database_url, select, target)
            same = duck.same_lines(stack.store_path(done.keys()[0]), target)
        caller.cancel_or_delete(done.id)
        peers: dict[str, Run] = {
            name: (lambda select=select: duck.write_jsonl(stack.database_url, select, target))  # type: ignore[misc]
            for name, select in ways.items()
        }
        ours: dict[str, Run] = {"Waybill": lambda: _export(caller, data.rows, _body(format="jsonl"))}
        seconds = interleave(ours | peers, context.rounds, context.say)
    best = min((seconds[name] for name in ways), key=median)
    names = {"Waybill": "Waybill, `jsonl`, default options"} | {name: name for name in ways}
    lines = [
        [what, seconds_cell(seconds[name]), f"{ratio(seconds[name], best):.2f}", "≤ 1.0" if name == "Waybill" else ""]
        for name, what in names.items()
    ]  # fmt: skip
    return Section("jsonl", "JSON lines into a directory", [*COLUMNS[:2], "Ratio to DuckDB's faster way", "Target"], lines, [same])
