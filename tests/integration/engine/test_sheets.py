"""Workbooks of several sheets: the oracle's rows on every sheet, from parts of any size; what no cell takes is found while planning; redaction on all sheets."""

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import psycopg
import pytest
from openxml_audit import FileFormat, OpenXmlValidator

from shared.datasets import registry
from shared.datasets.plan import Redaction
from shared.datasets.sql import session_sql
from tests.integration.engine.books import by_calamine, by_openpyxl, differences
from tests.integration.engine.conftest import CASES, ORG, RECORDS, Exporter
from tests.oracle import Oracle

SHORT = {"filter": {"ids": [r["id"] for r in map(json.loads, RECORDS) if r["type"] == "conversation" and "long" not in r["id"]]}}
REQUESTS: dict[str, dict[str, Any]] = {
    "conversations": {"dataset": "conversations", **SHORT},
    "chat-data": {"dataset": "chat-data", "from": "2026-01-01", "to": "2026-07-01", "timezone": "Europe/Brussels", **SHORT},
}


@pytest.fixture(scope="module")
def oracle() -> Oracle:
    return Oracle([json.loads(line) for line in RECORDS], CASES["settings"], CASES["scores"])


@pytest.mark.parametrize("rows_max", [1, 7, 50_000])
@pytest.mark.parametrize("dataset", REQUESTS)
async def test_every_sheet_holds_the_oracles_rows(exporter: Exporter, oracle: Oracle, dataset: str, rows_max: int) -> None:
    request = REQUESTS[dataset]
    made = await exporter.export(exporter.spec(request | {"formats": ["xlsx", "json"]}), exporter.snapshot(), rows_max)
    with zipfile.ZipFile(io.BytesIO(made.files["xlsx"])) as archive:
        assert archive.testzip() is None
    wanted = oracle.sheets(request)
    assert all(rows for _, rows in wanted.values())
    for reader in (by_openpyxl, by_calamine):
        assert not list(differences(reader(made.files["xlsx"]), wanted))
    assert made.files["json"] == oracle.file(request, "json")
    alone = await exporter.export(exporter.spec(request | {"format": "xlsx"}), exporter.snapshot(), rows_max)
    assert alone.files["xlsx"] == made.files["xlsx"]


@pytest.mark.parametrize(("dataset", "header"), [("conversations", "content"), ("chat-data", "PlainText")])
def test_the_plan_finds_the_message_that_no_cell_takes(exporter: Exporter, dataset: str, header: str) -> None:
    request = {name: value for name, value in REQUESTS[dataset].items() if name != "filter"}
    snapshot, data = exporter.snapshot(), registry.get(dataset)
    with psycopg.connect(f"{exporter.database.url}?options=-c%20role%3Dwaybill_export_request") as connection:
        connection.execute(session_sql(ORG).encode())
        for more, long in (({"format": "xlsx"}, True), ({"formats": ["json", "xlsx"]}, True), ({"format": "json"}, False)):
            spec = exporter.spec(request | more)
            found = connection.execute(data.plan_query(spec, snapshot, None, 10_000, None).encode()).fetchone()
            assert found and found[2] is long
            place = connection.execute(data.too_long(spec, snapshot, None, found[3]).encode()).fetchone()
            assert (place is not None) is long
            if place is not None:
                assert place[1:] == (header, "message 2")
                rows = connection.execute(data.members(spec, snapshot, None, found[3]).encode()).fetchone()
                assert rows and rows[0].strip("{}").split(",")[place[0] - 1] == "conv_long"
        hidden = exporter.spec(request | {"format": "xlsx"}, redaction=Redaction(profile="p", columns={header: "mask"}))
        assert connection.execute(data.too_long(hidden, snapshot, None, found[3]).encode()).fetchone() is None


@pytest.mark.parametrize("dataset", sorted(registry.names()))
def test_the_keys_of_a_chunk_are_those_of_its_rows(exporter: Exporter, dataset: str) -> None:
    ranged = {} if registry.get(dataset).range_rule == "refused" else {"from": "2026-01-01", "to": "2026-07-01"}
    spec, snapshot, data = exporter.spec({"dataset": dataset, **ranged}), exporter.snapshot(), registry.get(dataset)
    with psycopg.connect(f"{exporter.database.url}?options=-c%20role%3Dwaybill_export_request") as connection:
        connection.execute(session_sql(ORG).encode())
        planned = connection.execute(data.plan_query(spec, snapshot, None, 10_000, None).encode()).fetchone()
        assert planned and planned[0] > 0
        keys = connection.execute(f"select ({data.members(spec, snapshot, None, None)})::text[]".encode()).fetchone()
    assert keys and len(keys[0]) == len(set(keys[0])) == planned[0]


@pytest.mark.parametrize("dataset", REQUESTS)
async def test_redaction_holds_on_every_sheet(exporter: Exporter, oracle: Oracle, dataset: str) -> None:
    """Rules by a sheet's own columns and by those of other formats."""
    rules = {"content": "mask", "PlainText": "mask", "events": "remove", "name": "hash", "conversation_id": "hash", "ChatId": "hash"}
    redaction = Redaction(profile="p", columns=rules)
    spec = exporter.spec(REQUESTS[dataset] | {"format": "xlsx"}, redaction=redaction)
    made = await exporter.export(spec, exporter.snapshot(), 7)
    read, wanted = by_openpyxl(made.files["xlsx"]), oracle.sheets(REQUESTS[dataset])
    assert {name: len(rows) - 1 for name, rows in read.items()} == {name: len(rows) for name, (_, rows) in wanted.items()}
    sheet = "Messages" if dataset == "conversations" else "Message data"
    content = [row[2 if dataset == "conversations" else 4] for row in read[sheet][1:]]
    assert set(content) <= {"[REDACTED]", None}
    ids = {row[0] for row in read[sheet][1:]}
    assert not ids & {row["conversation_id" if dataset == "conversations" else "ChatId"] for row in wanted[sheet][1]}
    if dataset == "conversations":
        assert ids <= {row[0] for row in read["Conversations"][1:]}  # so that sheets still join
        assert all(row[1:] == [None, None, None] for row in read["Events"][1:])
    counted = made.parts["xlsx"][0].result.redacted
    assert counted["columns.content" if dataset == "conversations" else "columns.PlainText"] > 0


# No repairs: texts stand in their cells, which Excel moves when it saves; and a theme, of which a package has one or none (ECMA-376 part 1, 14.2.7).
ON_PURPOSE = ("inline-string cell(s)", "relationships/theme")


def problems(content: bytes, folder: Path) -> list[str]:
    """What Excel would repair, as far as ECMA-376's schemas and rules say it (openxml-audit carries those of Microsoft's Open XML SDK)."""
    file = folder / "book.xlsx"
    file.write_bytes(content)
    found = OpenXmlValidator(FileFormat.OFFICE_2019, strict=True).validate(file).errors
    return [f"{e.part_uri} {e.path}: {e.description}" for e in found if not any(words in e.description for words in ON_PURPOSE)]


@pytest.mark.parametrize(
    ("dataset", "rows_max"), [("leads", 7), *((name, 50_000) for name in sorted(registry.names()) if "xlsx" in registry.get(name).formats)]
)
async def test_excel_finds_nothing_to_repair(exporter: Exporter, tmp_path: Path, dataset: str, rows_max: int) -> None:
    ranged = {} if registry.get(dataset).range_rule == "refused" else {"from": "2026-01-01", "to": "2026-07-01"}
    request = REQUESTS.get(dataset, {"dataset": dataset, "timezone": "Europe/Brussels", **ranged}) | {"formats": ["xlsx"]}
    if dataset == "messages":  # one of its texts is longer than a cell takes
        request["columns"] = [c.key for c in registry.get(dataset).columns() if c.key != "content"]
    made = await exporter.export(exporter.spec(request), exporter.snapshot(), rows_max)
    assert problems(made.files["xlsx"], tmp_path) == []


async def test_what_excel_would_repair_is_found(exporter: Exporter, tmp_path: Path) -> None:
    made = await exporter.export(exporter.spec({"dataset": "leads", "formats": ["xlsx"]}), exporter.snapshot())
    broken = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(made.files["xlsx"])) as archive, zipfile.ZipFile(broken, "w") as copy:
        for name in archive.namelist():
            copy.writestr(name, archive.read(name).replace(b"<sheetViews>", b"<cols/><sheetViews>"))
    assert problems(broken.getvalue(), tmp_path)
