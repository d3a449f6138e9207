"""What a preview shows of the first rows is what their file holds, for readers that we didn't write: every dataset and format of the registry."""

from datetime import datetime
from functools import partial
from typing import Any

import psycopg
import pytest

from shared.datasets import registry
from shared.datasets.plan import Column, ColumnType, PlanSpec, Redaction
from shared.formats import registry as formats
from shared.formatting.parts import Table
from shared.formatting.sheets import tables_shown
from tests import readers
from tests.integration.engine.conftest import Buffer, Exporter, assemble
from tests.integration.engine.loader import load
from tests.oracle.generate import SETTINGS, generate, ndjson

SEED, CONVERSATIONS, ROWS = 7, 150, 50
PAIRS = [
    (name, fmt) for name in registry.names() for fmt in registry.get(name).formats if not formats.get(fmt).document
]  # test_reports.py reads documents


@pytest.fixture(scope="module")
def generated(exporter: Exporter) -> Exporter:
    with psycopg.connect(exporter.database.url, autocommit=True) as connection:
        load(connection, "org_shown", ndjson(generate(SEED, CONVERSATIONS)).decode().strip("\n").split("\n"), {})
        connection.execute("analyze")
    return Exporter(exporter.database, exporter.engine, "org_shown", SETTINGS)


def whole(dataset: str, fmt: str) -> dict[str, Any]:
    ranged = {} if registry.get(dataset).range_rule == "refused" else {"from": "2026-01-01", "to": "2027-01-01"}
    return {"dataset": dataset, "format": fmt, "timezone": "America/St_Johns", **ranged}


@pytest.mark.parametrize("redacted", [False, True])
@pytest.mark.parametrize(("dataset", "fmt"), PAIRS)
async def test_the_first_rows_are_the_files(generated: Exporter, dataset: str, fmt: str, redacted: bool) -> None:
    # A transcript whose messages are a pseudonym ends no line: a reader of transcripts has nothing to tell them apart by.
    hidden = Redaction(
        profile="p",
        columns={c.key: "hash" for c in registry.get(dataset).columns() if c.personal and c.asked and fmt != "txt"},
        detect=["email", "phone"],
    )
    spec = generated.spec(whole(dataset, fmt), redaction=hidden if redacted else None)
    snapshot = generated.snapshot()
    made = await generated.export(spec, snapshot, ROWS)
    shown = generated.engine.show_chunk(spec, generated.org_id, snapshot, None, made.planned[0][1], fmt)
    about = tables_shown(spec, fmt)
    assert [t.sheet for t in about] == [t.sheet for t in shown]
    assert all(
        a.rows == [] and _titles(a) == [t for t in _titles(s) if t[0] in dict(_titles(a))] for a, s in zip(about, shown, strict=True)
    )
    if len(about) == 1:
        both, sinks = (
            partial(generated.engine.format_and_show, spec, generated.org_id, snapshot, None, made.planned[-1][1]),
            {fmt: Buffer()},
        )
        results, tables = both(sinks, [fmt], made.planned[0][0])
        assert (list(tables), results[fmt].rows) == ([fmt], sum(rows for rows, _ in made.planned))
        assert (_titles(tables[fmt]), tables[fmt].rows) == (_titles(shown[0]), shown[0].rows)
        at_once = Buffer()
        generated.engine.format_chunk(spec, generated.org_id, snapshot, None, made.planned[-1][1], {fmt: at_once})
        assert fmt == "parquet" or sinks[fmt].data == at_once.data
        assert abs(len(sinks[fmt].data) - len(at_once.data)) < 0.1 * len(at_once.data)
    wanted = readers.tables(fmt, assemble(spec, fmt, made.parts[fmt][:1]))
    assert [table.sheet for table in shown] == [name for name, _ in wanted]
    for table, (_, rows) in zip(shown, wanted, strict=True):
        assert len(table.rows) == len(rows)
        for mine, theirs in zip(table.rows, rows, strict=True):
            assert len(table.columns) == len(mine) == len(theirs)
            assert [m for c, m, t in zip(table.columns, mine, theirs, strict=True) if not same(fmt, c, m, t, spec)] == []


def _titles(table: Table) -> list[tuple[str, str]]:
    return [(column.key, column.header) for column in table.columns]


def same(fmt: str, column: Column, shown: str, value: Any, spec: PlanSpec) -> bool:
    if fmt == "xlsx" and isinstance(value, datetime):  # what the cell's number format makes of it
        if column.type is ColumnType.date:
            return shown == str(value.date())
        leads = registry.get(spec.dataset).family == "leads"
        return shown == value.isoformat(" ", timespec="seconds" if leads else "milliseconds")
    return readers.same(fmt, shown, value)
