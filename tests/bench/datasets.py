"""Datasets whose columns are worked out from many rows: resolved-conversations beside the best SQL by hand, and all others over a million messages."""

import secrets

from shared.datasets import registry
from tests.bench.context import Context
from tests.bench.data import FROM, TO, ensure_care, ensure_resolved
from tests.bench.exports import COLUMNS
from tests.bench.paths import OUT
from tests.bench.peers import psql
from tests.bench.report import Section, seconds_cell
from tests.bench.stack import DIRECTORY_STORE, BenchError
from tests.bench.timing import interleave, ratio
from tests.bench.waybill import Caller

APART = ("leads", "resolved-conversations")  # each has rows of its own
TUNED = "SET work_mem = '1GB'"


def asked(dataset: str) -> dict[str, object]:
    """What is asked for of a dataset, but for its formats."""
    kind = registry.get(dataset)
    protected = {"password": "Abcd" + secrets.token_hex(4), "purpose": "a look"} if kind.protected else {}
    return {"dataset": dataset, **({"from": FROM, "to": TO} if kind.range_rule == "required" else {}), **protected}


def resolved(context: Context) -> Section:
    """A third as many resolved conversations as the other exports have messages, as CSV into a directory, against `psql \\copy` of SQL by hand."""
    stack = context.stack
    stack.up(WAYBILL_STORE=DIRECTORY_STORE)
    data = ensure_resolved(stack, context.rows // 3)
    query = psql.resolved_query(stack.database_url, data.org_id)
    target = OUT / "psql.csv"

    def export(caller: Caller) -> float:
        done = caller.run(asked("resolved-conversations") | {"format": "csv"})
        if done.rows != data.rows:
            raise BenchError(f"export {done.id} has {done.rows} rows instead of {data.rows}")
        caller.cancel_or_delete(done.id)
        return done.seconds

    with Caller(stack, data.org_id) as caller:
        seconds = interleave({
            "Waybill": lambda: export(caller),
            "psql": lambda: psql.copy_csv(stack.database_url, query, target),
            "psql, tuned": lambda: psql.copy_csv(stack.database_url, query, target, TUNED),
        }, context.rounds, context.say)  # fmt: skip
    lines = [
        ["Waybill, `csv`, all columns", seconds_cell(seconds["Waybill"]), f"**{ratio(seconds['Waybill'], seconds['psql']):.2f}**", "≤ 1.5"],
        ["`psql \\copy` of SQL by hand", seconds_cell(seconds["psql"]), "1.00", ""],
        [f"the same after `{TUNED}`", seconds_cell(seconds["psql, tuned"]), f"{ratio(seconds['psql, tuned'], seconds['psql']):.2f}", ""],
    ]
    return Section("resolved", f"{data.rows:,} resolved-conversations as CSV", COLUMNS, lines)


def care(context: Context) -> Section:
    """Every other dataset over a third of the messages, in its own format and as a workbook, once each."""
    stack = context.stack
    stack.up(WAYBILL_STORE=DIRECTORY_STORE)
    data = ensure_care(stack, context.rows // 3)
    lines = []
    with Caller(stack, data.org_id) as caller:
        for dataset in (name for name in registry.names() if name not in APART):
            kind = registry.get(dataset)
            taken = {}
            for name in dict.fromkeys(name for name in (kind.default_format, "xlsx") if name in kind.formats):
                done = caller.run(asked(dataset) | {"format": name})
                caller.cancel_or_delete(done.id)
                taken[name] = done.seconds
                context.say(f"{dataset}, {name}: {done.rows} rows, {done.seconds:.1f} s")
            lines.append(
                [f"`{dataset}`", f"{done.rows:,}", "; ".join(f"{name} {seconds:.1f} s" for name, seconds in taken.items()), "≤ 10 s"]
            )
    return Section("care", f"Other datasets over {data.rows:,} messages", ["Dataset", "Rows", "Seconds", "Target"], lines)
