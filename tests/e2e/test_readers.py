"""The CSV as others read it: a spreadsheet program, DuckDB and pandas."""

import csv
import io
import shutil
import subprocess
from pathlib import Path

import duckdb
import pandas as pd
import pytest

from tests.e2e.conftest import Organisation

BODY = {"dataset": "messages", "format": "csv", "timezone": "Europe/Brussels", "from": "2026-01-01", "to": "2026-07-01"}


@pytest.fixture(scope="module")
def content(sample: Organisation) -> bytes:
    return sample.download(sample.completed(BODY))


@pytest.fixture(scope="module")
def rows(content: bytes) -> list[dict[str, str]]:
    """What Python's csv module reads: the reference."""
    return list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline="")))


def test_pandas_reads_the_same(content: bytes, rows: list[dict[str, str]]) -> None:
    frame = pd.read_csv(io.BytesIO(content), dtype=str, keep_default_na=False, encoding="utf-8-sig", lineterminator=None)
    assert frame.to_dict("records") == rows


def test_duckdb_reads_the_same(content: bytes, rows: list[dict[str, str]], tmp_path: Path) -> None:
    path = tmp_path / "messages.csv"
    path.write_bytes(content)
    result = duckdb.execute(f"SELECT * FROM read_csv('{path}', all_varchar=true, header=true, quote='\"', escape='\"', new_line='\\r\\n')")
    names = [column[0] for column in result.description]
    read = [{n: v or "" for n, v in zip(names, row, strict=True)} for row in result.fetchall()]
    assert read == rows


def test_a_spreadsheet_program_shows_text_and_runs_no_formula(content: bytes, rows: list[dict[str, str]], tmp_path: Path) -> None:
    program = shutil.which("soffice") or shutil.which("localc")
    assert program, "LibreOffice is missing: `make test` says how to install it"
    (tmp_path / "messages.csv").write_bytes(content)
    subprocess.run(
        [program, "--headless", "--convert-to", "csv:Text - txt - csv (StarCalc):44,34,76,1,,0,false,true,false,false,false,1",
         "--infilter=CSV:44,34,76,1", "--outdir", str(tmp_path / "out"), str(tmp_path / "messages.csv")],
        check=True, capture_output=True, timeout=120, env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"},
    )  # fmt: skip
    shown = next((tmp_path / "out").glob("*.csv")).read_text("utf-8-sig")
    read = list(csv.DictReader(io.StringIO(shown, newline="")))
    assert len(read) == len(rows)
    assert [r["Message ID"] for r in read] == [r["Message ID"] for r in rows]
    dangerous = [(theirs["Content"], ours["Content"]) for theirs, ours in zip(read, rows, strict=True) if ours["Content"].startswith("'")]
    assert dangerous, "the example has formulas"
    assert [theirs for theirs, _ in dangerous] == [line_feeds(ours) for _, ours in dangerous]


def line_feeds(text: str) -> str:
    """A spreadsheet program has one kind of line break within a cell."""
    return text.replace("\r\n", "\n").replace("\r", "\n")
