"""xlsx: a workbook whose sheets' rows are written as XML in DuckDB and deflated by whoever formats them."""

import json
import re
import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any, cast
from xml.etree import ElementTree

from isal import isal_zlib

from shared.datasets import registry as datasets
from shared.datasets.plan import Column, ColumnType, PlanSpec
from shared.datasets.redaction import shown
from shared.datasets.sql import duck_literal
from shared.datasets.workbooks import Workbook
from shared.formats import binding, workbook
from shared.formats.base import Cell, Fixed, Format, Frame, Piece, Slice, Sql, concat, timestamp_text
from shared.formats.compression import Compressor, Evenly, deflater
from shared.formats.workbook import SHEET_ROWS_MAX, Book, Rows

_NOTE = struct.Struct("<QQLQ")
_LEVEL = 1
_SINCE_MS = 25_569 * 86_400_000  # from 1899-12-30, where a spreadsheet begins to count, to 1970
_LEADS, _CARE = "yyyy\\-mm\\-dd\\ hh:mm:ss", "yyyy\\-mm\\-dd\\ hh:mm:ss.000"
_FEW = 8
_FIELD = re.compile(r"\w+\.\w+")
_TEXTS = (ColumnType.text, ColumnType.texts, ColumnType.json)


class Xlsx(Format):
    name = "xlsx"
    extension = "xlsx"
    media_type = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
    opening, comma, closing = "<row>", "", "</row>"
    binary = True
    looks_at_texts = True
    sheeted = True
    rows_max_per_file = SHEET_ROWS_MAX
    cell_units_max = 32_767
    encrypts_itself = True
    protected_rows_max = 100_000

    def cell(self, cell: Cell, spec: PlanSpec) -> list[Piece]:
        return self.cells([cell], spec)

    def cells(self, cells: Sequence[Cell], spec: PlanSpec) -> list[Piece]:
        pieces: list[Piece] = []
        for looked_at, run in groupby(cells, key=lambda c: c.column.type in (*_TEXTS, ColumnType.property)):
            alike = list(run)
            pieces += self._neighbours(alike, spec) if looked_at else [piece for c in alike for piece in self._cell(c, spec)]
        return pieces

    def _neighbours(self, cells: Sequence[Cell], spec: PlanSpec) -> list[Piece]:
        """One look at texts that stand together: hardly one needs its markup or control characters escaped, so hardly a row is looked at cell by cell."""
        looked_at = [_looked_at(c) for c in cells if not (c.quiet or c.column.plain)]
        quick = [piece for c in cells for piece in self._cell(c, spec)]
        if not looked_at:
            return quick
        if len(cells) == 1 and _FIELD.fullmatch(_text(cells[0])):
            return self._careful(cells, spec)  # which costs less than a look before it
        together = concat([Fixed("|"), *(piece for t in looked_at for piece in (Sql(t), Fixed("|")))])
        return [Sql(f"case when xml_plain({together}) then {concat(quick)} else {concat(self._careful(cells, spec))} end")]

    def texts(self, row: Any, columns: Sequence[Column], spec: PlanSpec) -> list[str]:
        """As a spreadsheet program shows them."""
        clock = "seconds" if datasets.get(spec.dataset).family == "leads" else "milliseconds"
        return [_shown(cell, clock) for cell in ElementTree.fromstring(row)]

    def _cell(self, cell: Cell, spec: PlanSpec) -> list[Piece]:
        """Texts are short, and nothing in them means anything to XML."""
        kind, family = cell.column.type, datasets.get(spec.dataset).family
        if kind is ColumnType.text and cell.quiet and cell.quiet.full:
            return [Fixed('<c t="str"><v>'), Sql(cell.sql), Fixed("</v></c>")]
        if kind in _TEXTS:
            return [Sql(f"xml_open({_text(cell)})"), Sql(_text(cell)), Sql(f"xml_close({_text(cell)})")]
        if kind is ColumnType.boolean:
            return [Sql(f"xml_boolean({cell.sql})")]
        if kind is ColumnType.timestamp:
            return [Sql(f"xml_instant({cell.sql}, {_days(cell.sql, family)}, {timestamp_text(cell.sql, family)})")]
        if kind is ColumnType.date:
            return [Sql(f"xml_date({cell.sql})")]
        if kind is ColumnType.property:
            return [Sql(f"xml_property({cell.sql}, xml_property_plain({cell.sql}))")]
        return [Sql(f"xml_number({cell.sql})")]

    def _careful(self, cells: Sequence[Cell], spec: PlanSpec) -> list[Piece]:
        """The same of any texts."""
        pieces: list[Piece] = []
        for are_texts, run in groupby(cells, key=lambda c: c.column.type in _TEXTS):
            if are_texts:
                pieces.append(_texts(list(run), _text))
                continue
            for cell in run:
                if cell.column.type is ColumnType.property:
                    text = _texts([cell], lambda c: f"xml_property_text({c.sql})")
                    pieces.append(Sql(f"xml_property({cell.sql}, {text.sql})"))
                else:
                    pieces += self._cell(cell, spec)
        return pieces

    def compressor(self, spec: PlanSpec) -> Compressor:
        return Fragment()

    def frame(self, spec: PlanSpec) -> Frame:
        tables, stamps = _tables(spec), _stamps(spec)
        sheets = [workbook.sheet(title, columns) for title, columns in tables.items()]
        book, files = workbook.book(sheets, stamps)
        if len(sheets) == 1:
            head = files + book.before()
            return Frame(head, b"", _kept(book), head + book.after(Rows()))
        empty = files + binding.empty(book)
        if isinstance(datasets.get(spec.dataset), Workbook):  # rows bring columns: each part has its sheets' heads
            book = replace(book, sheets=tuple(replace(s, head="") for s in book.sheets))
        return Frame(files + binding.before(book), b"", _kept(book), empty)

    def sheet(self, name: str, columns: Sequence[Column], first: bool) -> Frame:
        head = workbook.sheet(name, columns).head.encode()
        return Frame(head, b"", b"", head)

    def ending(self, tail: bytes, notes: Sequence[bytes]) -> bytes:
        return Book.of(json.loads(tail)).after(sum((Rows(*_NOTE.unpack(note)) for note in notes), Rows()))

    def first(self, note: bytes | None) -> Slice | None:
        return None if note is None or len(note) == _NOTE.size else binding.first(note)

    def behind(self, tail: bytes, notes: Sequence[bytes]) -> Iterator[bytes | Slice]:
        book = Book.of(json.loads(tail))
        if len(book.sheets) == 1:
            yield self.ending(tail, notes)
        else:
            yield from binding.behind(book, notes)


def _kept(book: Book) -> bytes:
    return json.dumps(book.as_json, ensure_ascii=False).encode()


def _tables(spec: PlanSpec) -> dict[str, list[Column]]:
    """The sheets' columns by title, as files show them; without those that the rows of a sheet bring."""
    dataset = datasets.get(spec.dataset)
    tables = dataset.tables(spec, FORMAT.name)
    return {title: [shown(column, spec.redaction) for column in columns] for title, columns in tables.items()}


def _stamps(spec: PlanSpec) -> str:
    return _LEADS if datasets.get(spec.dataset).family == "leads" else _CARE


class Fragment(Evenly):
    """Rows of a sheet as a raw deflate stream that has no end: others may stand behind it. Its note is what `Rows` counts."""

    def __init__(self) -> None:
        super().__init__(deflater(_LEVEL, -isal_zlib.MAX_WBITS))
        self._size = self._crc32 = self._packed = 0

    def compress(self, data: bytes | memoryview, /) -> bytes:
        self._size += len(data)
        self._crc32 = isal_zlib.crc32(data, self._crc32)
        out = super().compress(data)
        self._packed += len(out)
        return out

    def flush(self) -> bytes:
        out = super().flush()
        self._packed += len(out)
        return out

    def end(self) -> bytes:
        return cast(bytes, self._inner.flush(isal_zlib.Z_FULL_FLUSH))

    def rows(self, count: int) -> Rows:
        """What it holds, once it is flushed."""
        return Rows(count, self._size, self._crc32, self._packed)

    def note(self, rows: int) -> bytes:
        return _NOTE.pack(rows, self._size, self._crc32, self._packed)


def _shown(cell: ElementTree.Element, clock: str) -> str:
    """What a program makes of a cell (<c>) that this module wrote."""
    text, style = "".join(cell.itertext()), cell.get("s")
    if cell.get("t") in ("str", "inlineStr"):
        return _ESCAPED.sub(lambda found: chr(int(found[1], 16)), text)
    if cell.get("t") == "b":
        return "TRUE" if text == "1" else "FALSE"
    if style == "2":
        at = _BEGINNING + timedelta(milliseconds=round(float(text) * 86_400_000))
        return at.isoformat(" ", timespec=clock)
    return str((_BEGINNING + timedelta(days=int(text))).date()) if style == "3" else text


_BEGINNING = datetime(1899, 12, 30)
_ESCAPED = re.compile("_x([0-9A-Fa-f]{4})_")


def _text(cell: Cell) -> str:
    if cell.column.type is ColumnType.json:  # the same text as in JSON
        return f"lower_escapes(nullif({cell.sql}, 'null'))"
    return f"joined({cell.sql})" if cell.column.type is ColumnType.texts else cell.sql


def _looked_at(cell: Cell) -> str:
    """All characters that `_text` has, but perhaps some commas; of JSON, what isn't plain has a backslash."""
    if cell.column.type in (ColumnType.json, ColumnType.property):
        return f"replace({cell.sql}, '\"', '')"
    return f"array_to_string({cell.sql}, '|')" if cell.column.type is ColumnType.texts else cell.sql


def _texts(cells: Sequence[Cell], text: Callable[[Cell], str]) -> Sql:
    """Adjacent cells of any texts. Cells of one run are of one row.

    DuckDB binds an expression anew for every chunk, and gets what a lambda says ready anew for every vector: so a few fields are written one by one, what is many
    or has to be worked out once each as a list.
    """
    found = [(text(c), duck_literal(c.column.header)) for c in cells]
    if len(cells) <= _FEW and all(_FIELD.fullmatch(sql) for sql, _ in found):
        return Sql(concat([Sql(f"xml_text({sql}, {header}, {cells[0].row})") for sql, header in found]))
    return Sql(f"xml_texts([{', '.join(sql for sql, _ in found)}], [{', '.join(header for _, header in found)}], {cells[0].row})")


def _days(sql: str, family: str) -> str:
    """Since 1899-12-30 on the clock that the cell shows: UTC cut to the second, or local."""
    if family == "leads":
        return f"(epoch_us({sql}) + {_SINCE_MS * 1000}) // 1000000 / 86400"
    return f"(epoch_ms(local_time({sql})) + {_SINCE_MS}) / 86400000"


FORMAT = Xlsx()
