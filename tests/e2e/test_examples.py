"""The example organisation through the whole system: every file of the datasets that exist, byte for byte."""

import csv
import gzip
import hashlib
import io
import json
from typing import Any

import openpyxl
import pandas
import pytest
import zstandard

from shared.datasets import registry
from tests.e2e.conftest import EXAMPLES, Organisation

CASES = json.loads((EXAMPLES / "cases.json").read_text("utf-8"))
HERE = [c for c in CASES["cases"] if not registry.get(c["request"]["dataset"]).protected]  # those: test_chat_data.py


@pytest.fixture(scope="module")
def scored(sample: Organisation) -> Organisation:
    """The example organisation, once its leads have the example's scores."""
    sample.settled(CASES["scores"])
    return sample


def test_records_are_counted_as_the_contract_says(organisation: Organisation) -> None:
    answer = organisation.send((EXAMPLES / "records.ndjson").read_bytes())
    assert answer["accepted"] == CASES["accepted"]
    assert answer["stale"] == CASES["stale"]
    assert answer["refused_count"] == CASES["refused"]


@pytest.mark.parametrize("case", HERE, ids=lambda c: c["file"])
def test_the_file_is_the_contracts_byte_for_byte(scored: Organisation, case: dict[str, Any]) -> None:
    export = scored.completed(case["request"])
    content = scored.download(export)
    assert content == (EXAMPLES / "files" / case["file"]).read_bytes()
    published = export["files"][0]
    assert published["sha256"] == hashlib.sha256(content).hexdigest()
    assert published["bytes"] == len(content)


def test_several_formats_and_a_compression_are_the_same_rows(scored: Organisation) -> None:
    body = next(c["request"] for c in HERE if c["file"] == "messages.csv")
    request = {k: v for k, v in body.items() if k != "format"} | {"formats": ["csv", "jsonl"], "compression": "gzip"}
    export = scored.completed(request)
    assert [f["format"] for f in export["files"]] == ["csv", "jsonl"]
    for number, name in enumerate(("messages.csv", "messages.jsonl")):
        assert gzip.decompress(scored.download(export, number)) == (EXAMPLES / "files" / name).read_bytes()
    assert export["progress"]["rows_written"] == export["progress"]["rows_planned"] == export["files"][0]["rows"]


def test_a_workbook_and_typed_columns_beside_their_csv(scored: Organisation) -> None:
    """One scan, several kinds of files; what is compressed by itself stays as it is."""
    body = next(c["request"] for c in HERE if c["file"] == "leads.csv")
    request = {k: v for k, v in body.items() if k != "format"} | {"formats": ["csv", "xlsx", "parquet"], "compression": "gzip"}
    export = scored.completed(request)
    assert [f["name"].partition(".")[2] for f in export["files"]] == ["csv.gz", "xlsx", "parquet"]
    assert gzip.decompress(scored.download(export, 0)) == (EXAMPLES / "files" / "leads.csv").read_bytes()
    content = scored.download(export, 1)
    assert hashlib.sha256(content).hexdigest() == export["files"][1]["sha256"]
    sheet = openpyxl.load_workbook(io.BytesIO(content)).active
    assert sheet.max_row - 1 == export["files"][1]["rows"] == export["progress"]["rows_planned"]
    table = pandas.read_parquet(io.BytesIO(scored.download(export, 2)))
    assert len(table) == export["progress"]["rows_planned"]
    assert list(table["id"]) == [cell.value for cell in sheet["A"][1:]]
    again = scored.completed(request)
    assert [f["sha256"] for f in again["files"]] == [f["sha256"] for f in export["files"]]


def test_several_workbooks_where_one_is_not_enough(scored: Organisation) -> None:
    export = scored.completed({"dataset": "leads", "format": "xlsx", "max_rows_per_file": 5})
    sheets = [openpyxl.load_workbook(io.BytesIO(scored.download(export, n))).active for n in range(len(export["files"]))]
    assert [s.max_row - 1 for s in sheets] == [f["rows"] for f in export["files"]]
    assert max(s.max_row - 1 for s in sheets) == 5


def test_a_text_that_fits_no_cell_fails_the_export_by_column_and_row(scored: Organisation) -> None:
    body = next(c["request"] for c in HERE if c["file"] == "messages.csv")
    export = scored.ended(scored.ask(body | {"format": "xlsx"})["id"])
    assert export["status"] == "failed"
    assert export["error"]["code"] == "cell_too_long"
    rows = list(csv.reader(io.StringIO((EXAMPLES / "files" / "messages.csv").read_text("utf-8-sig"), newline="")))
    number = next(n for n, row in enumerate(rows) if any(len(value) > 32_767 for value in row))
    assert export["error"]["message"] == f"Row {number}, column 'Content': the text is longer than a cell takes."
    assert export["progress"]["chunks_done"] == 0


def test_zstd(scored: Organisation) -> None:
    body = next(c["request"] for c in HERE if c["file"] == "conversations.txt")
    export = scored.completed(body | {"compression": "zstd"})
    reader = zstandard.ZstdDecompressor().stream_reader(scored.download(export), read_across_frames=True)
    assert reader.read() == (EXAMPLES / "files" / "conversations.txt").read_bytes()
    assert export["files"][0]["name"].endswith(".txt.zst")
    assert export["files"][0]["media_type"] == "application/zstd"


def test_split_files_are_numbered_and_each_has_the_header(scored: Organisation) -> None:
    body = next(c["request"] for c in HERE if c["file"] == "leads.csv")
    whole = (EXAMPLES / "files" / "leads.csv").read_bytes()
    header, *rows = whole.split(b"\r\n")[:-1]
    export = scored.completed(body | {"max_rows_per_file": 5})
    assert [f["name"] for f in export["files"]] == [f"leads_{export['id']}_{n:04d}.csv" for n in range(1, len(export["files"]) + 1)]
    got = [scored.download(export, n).split(b"\r\n")[:-1] for n in range(len(export["files"]))]
    assert all(lines[0] == header and len(lines) <= 6 for lines in got)
    assert [row for lines in got for row in lines[1:]] == rows


def test_the_manifest_says_what_the_files_are(scored: Organisation) -> None:
    export = scored.completed(HERE[0]["request"])
    manifest = scored.http.get(export["manifest_url"]).raise_for_status().json()
    assert manifest["export_id"] == export["id"]
    assert {(f["name"], f["rows"], f["bytes"], f["sha256"]) for f in manifest["files"]} == {
        (f["name"], f["rows"], f["bytes"], f["sha256"]) for f in export["files"]
    }
    for file in manifest["files"]:
        assert sum(part["rows"] for part in file["parts"]) == file["rows"]
