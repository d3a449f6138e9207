"""A workbook around its rows: the XML of its parts in the order that ECMA-376 demands, as a ZIP archive written front to back.

Rows stand between a sheet's head and its end as deflate fragments that end at a byte, so that many workers can write one sheet; the checksums of the
fragments combine. The workbook's own part comes last, because the autofilter's name wants the number of rows. Here is the workbook of one sheet; how several are
put together from parts that hold something of each: binding.py.
"""

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from isal import isal_zlib

from shared.datasets.plan import Column, ColumnType
from shared.formats.ziprecords import Entry, blocks, descriptor, directory, opening, stored

SHEET_ROWS_MAX = 1_048_575  # and the header
# Places in the list of cell styles (cellXfs).
HEADER, TIMESTAMP, DATE = 1, 2, 3

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
class Filled:
    """A sheet as the workbook names it: `rows` without the header."""

    title: str
    columns: int
    rows: int


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


def sheet(title: str, columns: Sequence[Column]) -> Sheet:
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

    def before(self) -> bytes:
        """What stands before the rows of the only sheet."""
        return opening(part_name(0)) + blocks(self.sheets[0].head.encode(), last=False)

    def after(self, rows: Rows) -> bytes:
        """What stands behind the rows of the only sheet."""
        (sheet,) = self.sheets
        entry, end = sheet_entry(0, self.offset, sheet.head, sheet.columns, rows)
        offset = self.offset + len(opening(entry.name)) + entry.packed + len(descriptor(entry))
        own, data = stored("xl/workbook.xml", workbook_part([Filled(sheet.title, sheet.columns, rows.count)]).encode(), offset)
        return end + data + directory([*self.entries, entry, own], offset + len(data))


def sheet_entry(number: int, offset: int, head: str, columns: int, rows: Rows) -> tuple[Entry, bytes]:
    """Sheet `number` (from 0) as an entry of the archive, and the bytes behind its rows. `head` is empty where the first fragment begins with it."""
    ending = f'</sheetData><autoFilter ref="{_area(columns, rows.count)}"/></worksheet>'.encode()
    before, end = head.encode(), blocks(ending, last=True)
    whole = rows
    if before:
        whole = Rows(0, len(before), isal_zlib.crc32(before), len(blocks(before, last=False))) + whole
    whole += Rows(0, len(ending), isal_zlib.crc32(ending), len(end))
    entry = Entry(part_name(number), offset, whole.crc32, whole.size, whole.packed, streamed=True)
    return entry, end + descriptor(entry)


def book(sheets: Sequence[Sheet], timestamp_format: str) -> tuple[Book, bytes]:
    """A workbook with these sheets, and the bytes before its first sheet. How many sheets several become is known at the end: then what names them comes there."""
    several = len(sheets) > 1
    files = [
        ("[Content_Types].xml", _content_types(several)),
        ("_rels/.rels", _relations([("rId1", "officeDocument", "xl/workbook.xml")])),
        *([] if several else [("xl/_rels/workbook.xml.rels", sheet_relations(1))]),
        ("xl/styles.xml", _styles(timestamp_format)),
    ]
    entries, made = [], b""
    for name, content in files:
        entry, data = stored(name, content.encode(), len(made))
        entries.append(entry)
        made += data
    return Book(tuple(sheets), tuple(entries), len(made)), made


def part_name(number: int) -> str:
    return f"xl/worksheets/sheet{number + 1}.xml"


def sheet_relations(sheets: int) -> str:
    made = [(f"rId{i + 1}", "worksheet", part_name(i).removeprefix("xl/")) for i in range(sheets)]
    return _relations([*made, (f"rId{sheets + 1}", "styles", "styles.xml")])


def _relations(parts: Sequence[tuple[str, str, str]]) -> str:
    shown = "".join(f'<Relationship Id="{id_}" Type="{_RELATIONS}/{kind}" Target="{target}"/>' for id_, kind, target in parts)
    return f'{_XML}<Relationships xmlns="{_PACKAGE}/relationships">{shown}</Relationships>'


def _content_types(several: bool) -> str:
    """Of several sheets, however many: a part that isn't named is one."""
    parts = [("xl/workbook.xml", "sheet.main"), *([] if several else [(part_name(0), "worksheet")]), ("xl/styles.xml", "styles")]
    shown = "".join(f'<Override PartName="/{name}" ContentType="{_TYPES}.{kind}+xml"/>' for name, kind in parts)
    defaults = (
        '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        f'<Default Extension="xml" ContentType="{f"{_TYPES}.worksheet+xml" if several else "application/xml"}"/>'
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


def workbook_part(sheets: Sequence[Filled]) -> str:
    """xl/workbook.xml."""
    shown = "".join(f'<sheet name={quoteattr(s.title)} sheetId="{i}" r:id="rId{i}"/>' for i, s in enumerate(sheets, 1))
    filters = "".join(
        f'<definedName name="_xlnm._FilterDatabase" localSheetId="{i}" hidden="1">{text(_quoted(s.title))}!{_area(s.columns, s.rows, "$")}</definedName>'
        for i, s in enumerate(sheets)
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
