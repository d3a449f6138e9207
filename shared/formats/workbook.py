"""A workbook around its rows: the XML of its parts in the order that ECMA-376 demands, as a ZIP archive written front to back.

Rows stand between `sheet_head` and `sheet_end` as deflate fragments that end at a byte, so that many workers can write one sheet; the checksums of the
fragments combine. The workbook's own part comes last, because the autofilter's name wants the number of rows.
"""

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from isal import isal_zlib

from shared.datasets.plan import Column, ColumnType
from shared.formats.ziprecords import Entry, blocks, descriptor, directory, opening, stored

# Places in the list of cell styles (cellXfs).
HEADER, TIMESTAMP, DATE = 1, 2, 3
TEXT_OPEN, TEXT_OPEN_KEPT, TEXT_CLOSE = '<c t="inlineStr"><is><t>', '<c t="inlineStr"><is><t xml:space="preserve">', "</t></is></c>"

_XML = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_RELATIONS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_TYPES = "application/vnd.openxmlformats-officedocument.spreadsheetml"
# What XML can't hold, and what a reader would take for an escape. A line feed and a tab stay; XML would turn a carriage return into a line feed.
_FORBIDDEN = re.compile("[\x01-\x08\x0b-\x1f\ufffe\uffff]|_(?=x[0-9A-Fa-f]{4})")
_WIDTHS = {ColumnType.timestamp: 24, ColumnType.date: 12, ColumnType.int64: 10, ColumnType.double: 12, ColumnType.boolean: 8}


@dataclass(frozen=True)
class Sheet:
    """A sheet's name, how many columns it has, and the XML before its rows."""

    title: str
    columns: int
    head: str


@dataclass(frozen=True)
class Rows:
    """A fragment of a sheet's rows, or several: how many, their XML's length and CRC-32, and the length of their deflate stream."""

    count: int = 0
    size: int = 0
    crc32: int = 0
    packed: int = 0

    def __add__(self, other: "Rows") -> "Rows":
        crc32 = isal_zlib.crc32_combine(self.crc32, other.crc32, other.size)
        return Rows(self.count + other.count, self.size + other.size, crc32, self.packed + other.packed)


def sheet(title: str, columns: Sequence[Column], timestamp_format: str) -> Sheet:
    """The sheet of these columns, its header row in place."""
    widths = "".join(f'<col min="{i}" max="{i}" width="{_width(c)}" customWidth="1"/>' for i, c in enumerate(columns, 1))
    cells = "".join(f'<c s="{HEADER}" t="inlineStr"><is><t xml:space="preserve">{text(c.header)}</t></is></c>' for c in columns)
    head = (
        f'{_XML}<worksheet xmlns="{_MAIN}"><sheetViews><sheetView workbookViewId="0"><pane ySplit="1" topLeftCell="A2" activePane="bottomLeft" '
        f'state="frozen"/><selection pane="bottomLeft"/></sheetView></sheetViews><sheetFormatPr defaultRowHeight="15"/>'
        f"<cols>{widths}</cols><sheetData><row>{cells}</row>"
    )
    return Sheet(title, len(columns), head)


def text(value: str) -> str:
    """`value` as the content of an element."""
    return escape(_FORBIDDEN.sub(lambda found: f"_x{ord(found[0]):04X}_", value))


@dataclass(frozen=True)
class Book:
    """A workbook's plan: its sheets, the archive's entries before them, and where they end. `as_json` and `of` carry it to who ends the file."""

    sheets: tuple[Sheet, ...]
    entries: tuple[Entry, ...]
    offset: int

    @property
    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @staticmethod
    def of(data: dict[str, Any]) -> "Book":
        return Book(tuple(Sheet(**s) for s in data["sheets"]), tuple(Entry(**e) for e in data["entries"]), data["offset"])

    def before(self, number: int) -> bytes:
        """What stands before the rows of sheet `number` (from 0), behind the end of the sheet before it."""
        return opening(_part(number)) + blocks(self.sheets[number].head.encode(), last=False)

    def after(self, number: int, rows: Sequence[Rows]) -> bytes:
        """What stands behind the rows of sheet `number`, where `rows` are those of the sheets up to it: the next sheet's beginning, or the archive's end."""
        entries, offset, end = list(self.entries), self.offset, b""
        for place in range(number + 1):
            entry, end = self._entry(place, offset, rows[place])
            entries.append(entry)
            offset += len(opening(entry.name)) + entry.packed + len(descriptor(entry))
            end += descriptor(entry)
        if number + 1 < len(self.sheets):
            return end + self.before(number + 1)
        entry, data = stored("xl/workbook.xml", _workbook(self.sheets, rows).encode(), offset)
        return end + data + directory([*entries, entry], offset + len(data))

    def _entry(self, number: int, offset: int, rows: Rows) -> tuple[Entry, bytes]:
        sheet = self.sheets[number]
        ending = f'</sheetData><autoFilter ref="{_area(sheet.columns, rows.count)}"/></worksheet>'.encode()
        head, end = sheet.head.encode(), blocks(ending, last=True)
        whole = Rows(0, len(head), isal_zlib.crc32(head), len(blocks(head, last=False))) + rows
        whole += Rows(0, len(ending), isal_zlib.crc32(ending), len(end))
        return Entry(_part(number), offset, whole.crc32, whole.size, whole.packed, streamed=True), end


def book(sheets: Sequence[Sheet], timestamp_format: str) -> tuple[Book, bytes]:
    """A workbook with these sheets, and the bytes before its first sheet."""
    entries, made = [], b""
    for name, content in (
        ("[Content_Types].xml", _content_types(len(sheets))),
        ("_rels/.rels", _relations([("rId1", "officeDocument", "xl/workbook.xml")])),
        ("xl/_rels/workbook.xml.rels", _relations(_parts(len(sheets)))),
        ("xl/styles.xml", _styles(timestamp_format)),
    ):
        entry, data = stored(name, content.encode(), len(made))
        entries.append(entry)
        made += data
    return Book(tuple(sheets), tuple(entries), len(made)), made


def _part(number: int) -> str:
    return f"xl/worksheets/sheet{number + 1}.xml"


def _parts(sheets: int) -> list[tuple[str, str, str]]:
    made = [(f"rId{i + 1}", "worksheet", _part(i).removeprefix("xl/")) for i in range(sheets)]
    return [*made, (f"rId{sheets + 1}", "styles", "styles.xml")]


def _relations(parts: Sequence[tuple[str, str, str]]) -> str:
    shown = "".join(f'<Relationship Id="{id_}" Type="{_RELATIONS}/{kind}" Target="{target}"/>' for id_, kind, target in parts)
    return f'{_XML}<Relationships xmlns="{_PACKAGE}/relationships">{shown}</Relationships>'


def _content_types(sheets: int) -> str:
    parts = [("xl/workbook.xml", "sheet.main"), *((_part(i), "worksheet") for i in range(sheets)), ("xl/styles.xml", "styles")]
    shown = "".join(f'<Override PartName="/{name}" ContentType="{_TYPES}.{kind}+xml"/>' for name, kind in parts)
    defaults = (
        '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        '<Default Extension="xml" ContentType="application/xml"/>'
    )
    return f'{_XML}<Types xmlns="{_PACKAGE}/content-types">{defaults}{shown}</Types>'


def _styles(timestamp_format: str) -> str:
    formats = f'<numFmt numFmtId="164" formatCode={quoteattr(timestamp_format)}/><numFmt numFmtId="165" formatCode="yyyy\\-mm\\-dd"/>'
    fonts = "".join(f'<font>{bold}<sz val="11"/><name val="Calibri"/><family val="2"/></font>' for bold in ("", "<b/>"))
    cells = (
        '<xf numFmtId="0" fontId="0" fillId="0" borderId="0" xfId="0"/><xf numFmtId="0" fontId="1" fillId="0" borderId="0" xfId="0" applyFont="1"/>'
        + "".join(f'<xf numFmtId="{n}" fontId="0" fillId="0" borderId="0" xfId="0" applyNumberFormat="1"/>' for n in (164, 165))
    )
    return (
        f'{_XML}<styleSheet xmlns="{_MAIN}"><numFmts count="2">{formats}</numFmts><fonts count="2">{fonts}</fonts>'
        '<fills count="2"><fill><patternFill patternType="none"/></fill><fill><patternFill patternType="gray125"/></fill></fills>'
        '<borders count="1"><border><left/><right/><top/><bottom/><diagonal/></border></borders>'
        '<cellStyleXfs count="1"><xf numFmtId="0" fontId="0" fillId="0" borderId="0"/></cellStyleXfs>'
        f'<cellXfs count="4">{cells}</cellXfs><cellStyles count="1"><cellStyle name="Normal" xfId="0" builtinId="0"/></cellStyles></styleSheet>'
    )


def _workbook(sheets: Sequence[Sheet], rows: Sequence[Rows]) -> str:
    shown = "".join(f'<sheet name={quoteattr(s.title)} sheetId="{i}" r:id="rId{i}"/>' for i, s in enumerate(sheets, 1))
    filters = "".join(
        f'<definedName name="_xlnm._FilterDatabase" localSheetId="{i}" hidden="1">{text(_quoted(s.title))}!{_area(s.columns, r.count, "$")}</definedName>'
        for i, (s, r) in enumerate(zip(sheets, rows, strict=True))
    )
    return (
        f'{_XML}<workbook xmlns="{_MAIN}" xmlns:r="{_RELATIONS}"><workbookPr/><bookViews><workbookView activeTab="0"/></bookViews>'
        f"<sheets>{shown}</sheets><definedNames>{filters}</definedNames></workbook>"
    )


def _quoted(title: str) -> str:
    return "'" + title.replace("'", "''") + "'"


def _area(columns: int, rows: int, fixed: str = "") -> str:
    """From A1 to the last cell; the header is a row too."""
    return f"{fixed}A{fixed}1:{fixed}{_letters(columns)}{fixed}{rows + 1}"


def _letters(column: int) -> str:
    """The name of a column, counted from 1."""
    return (_letters((column - 1) // 26) if column > 26 else "") + chr(ord("A") + (column - 1) % 26)


def _width(column: Column) -> int:
    """In characters: as wide as values of the type are, and the header with its filter button."""
    return max(_WIDTHS.get(column.type, 18), min(len(column.header) + 4, 40))
