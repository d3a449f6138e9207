"""A workbook of several sheets from parts that each hold something of every sheet.

A part is a row of fragments: rows of one sheet, deflated, as they stand in the file. Those of the first sheet are in the file as the parts come; behind the last
part come the other sheets, each gathered from all parts. A sheet that is full goes on in another of the same name with a number: "Messages 2".
"""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from shared.formats.base import Slice
from shared.formats.workbook import SHEET_ROWS_MAX, Book, Filled, Rows, Sheet, part_name, sheet_entry, sheet_relations, workbook_part
from shared.formats.ziprecords import blocks, descriptor, directory, opening, stored

# Of sheet, columns, rows, their XML's length and CRC-32, and of its deflate stream the length, CRC-32 and SHA-256.
_NOTE = struct.Struct("<HHQQLQL32s")


@dataclass(frozen=True)
class Fragment:
    """Rows of sheet `sheet` (from 0). `columns` says that it begins with a sheet's head of so many columns, so that it begins a sheet of its own (0: it doesn't);
    the checksums are of its bytes in the part."""

    sheet: int
    columns: int
    rows: Rows
    crc32: int
    sha256: bytes


def noted(fragments: Sequence[Fragment]) -> bytes:
    """The note of a part that these make up."""
    return b"".join(
        _NOTE.pack(f.sheet, f.columns, f.rows.count, f.rows.size, f.rows.crc32, f.rows.packed, f.crc32, f.sha256) for f in fragments
    )


def fragments(note: bytes) -> list[Fragment]:
    return [
        Fragment(sheet, columns, Rows(count, size, crc32, packed), own, sha256)
        for sheet, columns, count, size, crc32, packed, own, sha256 in _NOTE.iter_unpack(note)
    ]


def first(note: bytes) -> Slice:
    """What of a part is the first sheet's."""
    fragment = fragments(note)[0]
    return Slice(0, 0, fragment.rows.packed, fragment.crc32, fragment.sha256.hex())


@dataclass
class _Bound:
    """A sheet of the file, and where its fragments lie."""

    title: str
    head: str
    columns: int
    rows: Rows
    slices: list[Slice]


def before(book: Book) -> bytes:
    """What stands before the first part, behind the files that `workbook.book` makes."""
    return _begun(0, book.sheets[0].head)


def behind(book: Book, notes: Sequence[bytes], rows_max: int = SHEET_ROWS_MAX) -> Iterator[bytes | Slice]:
    """What stands behind the first sheet's rows, in order; the last of it is bytes. `notes`: of the parts, in order."""
    bound, entries, offset = _gathered(book, [fragments(note) for note in notes], rows_max), list(book.entries), book.offset
    for number, sheet in enumerate(bound):
        if number:
            yield _begun(number, sheet.head)
            yield from sheet.slices
        entry, end = sheet_entry(number, offset, sheet.head, sheet.columns, sheet.rows)
        entries.append(entry)
        offset += len(opening(entry.name)) + entry.packed + len(descriptor(entry))
        yield end
    made = b""
    filled = [Filled(sheet.title, sheet.columns, sheet.rows.count) for sheet in bound]
    for name, content in (("xl/_rels/workbook.xml.rels", sheet_relations(len(bound))), ("xl/workbook.xml", workbook_part(filled))):
        entry, data = stored(name, content.encode(), offset + len(made))
        entries.append(entry)
        made += data
    yield made + directory(entries, offset + len(made))


def empty(book: Book) -> bytes:
    """What stands behind the files that `workbook.book` makes where there are no rows."""
    return before(book) + b"".join(piece for piece in behind(book, []) if isinstance(piece, bytes))


def _begun(number: int, head: str) -> bytes:
    return opening(part_name(number)) + (blocks(head.encode(), last=False) if head else b"")


def _gathered(book: Book, parts: Sequence[Sequence[Fragment]], rows_max: int) -> list[_Bound]:
    """The sheets of the file: those of the book, and what goes on in further ones."""
    placed: list[list[tuple[Fragment, Slice]]] = [[] for _ in book.sheets]
    for part, found in enumerate(parts):
        start = 0
        for fragment in found:
            placed[fragment.sheet].append((fragment, Slice(part, start, fragment.rows.packed, fragment.crc32, fragment.sha256.hex())))
            start += fragment.rows.packed
    return [bound for sheet, there in zip(book.sheets, placed, strict=True) for bound in _filled(sheet, there, rows_max)]


def _filled(sheet: Sheet, placed: Sequence[tuple[Fragment, Slice]], rows_max: int) -> list[_Bound]:
    made = [_Bound(sheet.title, sheet.head, sheet.columns, Rows(), [])]
    for fragment, place in placed:
        if made[-1].slices and (fragment.columns or made[-1].rows.count + fragment.rows.count > rows_max):
            made.append(_Bound(f"{sheet.title} {len(made) + 1}", sheet.head, sheet.columns, Rows(), []))
        made[-1].columns = fragment.columns or sheet.columns
        made[-1].rows += fragment.rows
        made[-1].slices.append(place)
    return made
