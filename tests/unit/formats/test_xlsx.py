"""Workbooks: every text comes back as it was, whatever it is; the archive is whole; the XML is what ECMA-376 demands."""

import csv
import io
import json
import re
import shutil
import subprocess
import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import duckdb
import openpyxl
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from python_calamine import CalamineWorkbook

from shared.datasets import registry
from shared.datasets.plan import Column, ColumnType, PlanSpec
from shared.formats import macros
from shared.formats.base import Cell, Quiet
from shared.formats.workbook import Rows, text
from shared.formats.xlsx import FORMAT, Fragment
from shared.formats.ziprecords import Entry, descriptor, directory
from shared.formatting.quiet import quiet_columns
from tests.unit.formats.conftest import Encode

MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
HOSTILE = st.text(
    st.one_of(
        st.sampled_from(list(" \t\r\n<>&\"'_x0041_=+-@|\\\x01\x0b\x1f\x7f\x85\u2028\ufeff\ufffe\uffff😀")),
        st.characters(exclude_characters="\x00", codec="utf-8"),
    ),
    max_size=40,
)
quick = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def spec(*keys: str, dataset: str = "leads") -> PlanSpec:
    columns = registry.get(dataset).resolve_columns(list(keys) or None, ["xlsx"])
    return PlanSpec(dataset=dataset, formats=["xlsx"], columns=columns)


def row(kind: ColumnType, times: int = 1, quiet: Quiet | None = None) -> str:
    """The XML of a row with the value of `x` in so many cells."""
    cells = [Cell(Column("a", "A", kind, "", "x"), "x", quiet=quiet)] * times
    return FORMAT.finish(FORMAT.line([FORMAT.cells(cells, spec())]))


def values(xml: str) -> list[str | None]:
    """The texts of a row's cells, as ECMA-376 has them read (22.9.2.19: ST_Xstring). White space stands where programs keep it."""
    found = []
    for cell in ElementTree.fromstring(xml):
        texts = [t.text or "" for t in (*cell.iter("t"), *cell.iter("v"))]
        found.append(re.sub("_x([0-9A-Fa-f]{4})_", lambda m: chr(int(m[1], 16)), texts[0]) if texts else None)
        assert "f" not in {child.tag for child in cell}
        for t in cell.iter("t"):
            assert t.get("{http://www.w3.org/XML/1998/namespace}space") == "preserve" or not t.text
        for v in cell.iter("v"):
            assert not re.search(r"[\t\n\r]|^ | $|_x", v.text or "")
    return found


@quick
@given(st.lists(st.one_of(st.none(), HOSTILE), min_size=1, max_size=20))
def test_a_text_reads_back_as_what_it_was(encode: Encode, texts: list[str | None]) -> None:
    made = encode(row(ColumnType.text, 2), texts)
    assert [values(line) for line in made] == [[t, t] for t in texts]


def test_every_character_of_the_first_plane(encode: Encode) -> None:
    texts = [chr(c) for c in range(1, 0x10000) if not 0xD800 <= c < 0xE000]
    assert [values(line) for line in encode(row(ColumnType.text), texts)] == [[t] for t in texts]


@quick
@given(st.lists(st.one_of(st.none(), HOSTILE, st.text("ab_x- =é😀", max_size=6)), min_size=1, max_size=4))
def test_a_cell_is_the_same_whatever_stands_beside_it(encode: Encode, texts: list[str | None]) -> None:
    """Alone, beside a text that needs care, and where its column is known to be quiet."""
    alone = encode(row(ColumnType.text), texts)
    beside = FORMAT.line(
        [FORMAT.cells([Cell(Column(k, k, ColumnType.text, "", sql), sql) for k, sql in (("a", "x"), ("b", "' <'"))], spec())]
    )
    care = '<c t="inlineStr"><is><t xml:space="preserve"> &lt;</t></is></c>'
    assert encode(beside, texts) == [line.replace("</row>", f"{care}</row>") for line in alone]
    if quiet := quiet_columns(pa.table({"x": pa.array(texts, pa.large_string())})).get("x"):
        assert encode(row(ColumnType.text, quiet=quiet), texts) == alone


@quick
@given(
    st.lists(
        st.one_of(HOSTILE, st.text("ab_x- =é😀", max_size=6), st.none(), st.integers(), st.dictionaries(HOSTILE, HOSTILE)),
        min_size=1,
        max_size=4,
    )
)
def test_a_quiet_property_is_the_same_as_one_that_is_looked_at(encode: Encode, values: list[Any]) -> None:
    texts = [json.dumps(v, ensure_ascii=False, separators=(",", ":")) for v in values]
    if quiet := quiet_columns(pa.table({"x": pa.array(texts, pa.large_string())})).get("x"):
        assert encode(row(ColumnType.property, quiet=quiet), texts) == encode(row(ColumnType.property), texts)


@quick
@given(HOSTILE)
def test_headers_are_escaped_as_cells_are(header: str) -> None:
    assert values(f"<row><c><is><t xml:space='preserve'>{text(header)}</t></is></c></row>") == [header]


@pytest.mark.parametrize(("value", "long"), [("x" * 32_767, False), ("x" * 32_768, True), ("😀" * 16_383, False), ("😀" * 16_384, True)])
def test_a_text_beyond_what_a_cell_takes_is_refused_by_column_and_row(encode: Encode, value: str, long: bool) -> None:
    """In UTF-16 code units, as a spreadsheet program counts."""
    if long:
        with pytest.raises(duckdb.Error, match=r'cell_too_long \["A",null\]'):
            encode(row(ColumnType.text), ["short", value])
    else:
        assert values(encode(row(ColumnType.text), [value])[0]) == [value]


def test_a_custom_property_is_what_its_value_is(encode: Encode) -> None:
    given_ = ['"=a<\\u001f"', "-5", "1e+21", "true", "false", "null", None, '""', '"12"']
    assert encode(row(ColumnType.property), given_) == [f"<row>{c}</row>" for c in (
        '<c t="inlineStr"><is><t xml:space="preserve">=a&lt;_x001F_</t></is></c>', "<c><v>-5</v></c>", "<c><v>1e+21</v></c>",
        '<c t="b"><v>1</v></c>', '<c t="b"><v>0</v></c>', "<c/>", "<c/>", '<c t="inlineStr"><is><t></t></is></c>', '<c t="str"><v>12</v></c>',
    )]  # fmt: skip


@quick
@given(st.integers(0, int(timedelta(days=2_958_404) / timedelta(milliseconds=1))))
def test_instants_are_dates_to_the_millisecond(duck: duckdb.DuckDBPyConnection, after: int) -> None:
    duck.execute(macros.local_time("UTC", (2026, 2026)))
    instant = datetime(1900, 3, 1, tzinfo=UTC) + timedelta(milliseconds=after)
    cell = Cell(Column("a", "A", ColumnType.timestamp, "", "x"), "x")
    care = PlanSpec(dataset="messages", formats=["xlsx"], columns={"xlsx": []})
    line = FORMAT.line([FORMAT.cells([cell], care)])
    made = duck.execute(f"select {line} from (select ?::timestamptz as x)", [instant]).fetchone()
    assert made
    days = float(ElementTree.fromstring(made[0])[0][0].text or "")
    assert datetime(1899, 12, 30) + timedelta(milliseconds=round(days * 86_400_000)) == instant.replace(tzinfo=None)


def workbook(wanted: PlanSpec, parts: list[list[str]]) -> bytes:
    """A file of parts, each a list of rows."""
    frame = FORMAT.frame(wanted)
    made, notes = frame.head, []
    for lines in parts:
        fragment = Fragment()
        made += b"".join(fragment.compress(line.encode()) for line in lines) + fragment.flush()
        notes.append(fragment.note(len(lines)))
    return made + FORMAT.ending(frame.tail, notes)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(HOSTILE, min_size=1, max_size=5), min_size=1, max_size=4))
def test_parts_make_one_sheet_that_others_read(encode: Encode, parts: list[list[str]]) -> None:
    content = workbook(spec("id", "name"), [encode(row(ColumnType.text, 2), texts) for texts in parts])
    texts = [[t, t] for part in parts for t in part]
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.testzip() is None
        sheet = ElementTree.fromstring(archive.read("xl/worksheets/sheet1.xml").decode().replace(f' xmlns="{MAIN}"', ""))
    assert [values(ElementTree.tostring(r, "unicode")) for r in sheet.iter("row")] == [["id", "name"], *texts]
    read = openpyxl.load_workbook(io.BytesIO(content)).active
    assert read.max_row == len(texts) + 1
    found = CalamineWorkbook.from_filelike(io.BytesIO(content)).get_sheet_by_name("Leads").to_python(skip_empty_area=False)
    assert found[0] == ["id", "name"]


def test_a_file_without_rows_has_its_header(duck: duckdb.DuckDBPyConnection) -> None:
    content = FORMAT.frame(spec()).empty
    sheet = openpyxl.load_workbook(io.BytesIO(content)).active
    assert [c.value for c in sheet[1]] == [c.header for c in registry.get("leads").columns() if c.default is None and c.formats is None]
    assert sheet.max_row == 1
    assert sheet.auto_filter.ref == sheet.dimensions == "A1:L1"
    assert content == FORMAT.frame(spec()).empty


def test_the_elements_of_a_sheet_are_in_the_order_of_the_standard() -> None:
    """ECMA-376 part 1, 18.3.1.99 (CT_Worksheet) and 18.8.39 (CT_Stylesheet): Excel repairs what is out of order."""
    with zipfile.ZipFile(io.BytesIO(FORMAT.frame(spec(dataset="messages")).empty)) as archive:
        assert archive.namelist()[0] == "[Content_Types].xml"
        shown = {name: [e.tag.partition("}")[2] for e in ElementTree.fromstring(archive.read(name))] for name in archive.namelist()}
        assert {i.date_time for i in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
    assert shown["xl/worksheets/sheet1.xml"] == ["sheetViews", "sheetFormatPr", "cols", "sheetData", "autoFilter"]
    assert shown["xl/styles.xml"] == ["numFmts", "fonts", "fills", "borders", "cellStyleXfs", "cellXfs", "cellStyles"]
    assert shown["xl/workbook.xml"] == ["workbookPr", "bookViews", "sheets", "definedNames"]


def test_a_spreadsheet_program_shows_formulas_as_text_and_keeps_white_space(encode: Encode, tmp_path: Path) -> None:
    program = shutil.which("soffice") or shutil.which("localc")
    assert program, "LibreOffice is missing: `make test` says how to install it"
    texts = ["=1+1", "+4912345", "-2", "@SUM(1)", '=HYPERLINK("http://x","y")', " kept ", "a<b>&c", "00123", "'=1", "1e5", "a\nb"]
    (tmp_path / "made.xlsx").write_bytes(workbook(spec("id", "name"), [encode(row(ColumnType.text, 2), texts)]))
    subprocess.run(
        [program, "--headless", "--convert-to", "csv:Text - txt - csv (StarCalc):44,34,76,1,,0,false,true,false", "--outdir", str(tmp_path / "out"),
         str(tmp_path / "made.xlsx")],
        check=True, capture_output=True, timeout=120, env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"},
    )  # fmt: skip
    shown = next((tmp_path / "out").glob("*.csv")).read_text("utf-8-sig")
    assert list(csv.reader(io.StringIO(shown, newline=""))) == [["id", "name"], *([t, t] for t in texts)]


def test_fragments_add_up() -> None:
    assert sum((Rows(1, 3, 0x352441C2, 9), Rows(2, 0, 0, 5)), Rows()) == Rows(3, 3, 0x352441C2, 14)


@pytest.mark.parametrize("size", [2**32 - 2, 2**32 - 1, 2**32, 2**40])
def test_what_is_larger_than_four_gigabytes_is_said_in_zip64(size: int) -> None:
    """The sizes as Python's zipfile reads them from the directory; Java and others find 8-byte sizes behind such an entry's data."""
    entry = Entry("big.xml", 0, 1, size, size // 10, streamed=True)
    assert len(descriptor(entry)) == (24 if size >= 2**32 - 1 else 16)
    read: Any = zipfile.ZipFile(Sparse(size // 10, directory([entry], size // 10))).infolist()[0]
    assert (read.file_size, read.compress_size, read.CRC) == (size, size // 10, 1)


class Sparse(io.RawIOBase):
    """So many zeros, then `end`."""

    def __init__(self, zeros: int, end: bytes) -> None:
        self._zeros, self._end, self._at = zeros, end, 0

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        self._at = offset + (0, self._at, self._zeros + len(self._end))[whence]
        return self._at

    def tell(self) -> int:
        return self._at

    def read(self, size: int = -1) -> bytes:
        start = self._at - self._zeros
        data = self._end[start:] if size < 0 else self._end[start : start + size]
        self._at += len(data)
        return data
