"""A workbook of several sheets, from the parts of several formatters to the file in the store: whole for readers, and every byte in the manifest."""

import hashlib
import io
import json
import zipfile
from pathlib import Path

import openpyxl
import pyarrow as pa
import pytest

from services.delivery.core.assembly import Layout
from services.delivery.writing import FileToWrite, OpenFile
from shared.datasets import registry
from shared.datasets.plan import PlanSpec
from shared.errors import PermanentError
from shared.formats import binding
from shared.formats.base import Frame, Slice
from shared.formats.workbook import Book
from shared.formats.xlsx import FORMAT
from shared.formatting.parts import SheetsPart
from shared.messages import AssemblyPart
from shared.storage.directory import DirectoryStore

SHEETS = ("Conversations", "Messages", "Events")
SPEC = PlanSpec(dataset="conversations", formats=["xlsx"], columns=registry.get("conversations").resolve_columns(None, ["xlsx"]))
FRAME, BARE = FORMAT.frame(SPEC), Frame(b"", b"", b"", b"")


class Sink(io.BytesIO):
    """A part in memory."""


def written(sheets: list[list[str]], rows_max: int = 100) -> tuple[bytes, bytes]:
    """A part with these texts on its sheets, and its note."""
    sink = Sink()
    part = SheetsPart(sink, rows_max)
    for texts in sheets:
        part.sheet(BARE, 0)
        for text in texts:
            part.take(pa.array([f'<row><c t="inlineStr"><is><t>{text}</t></is></c></row>'], pa.large_string()))
    result = part.finish(len(sheets[0]), "k1", "k2")
    assert (result.bytes, result.sha256) == (len(sink.getvalue()), hashlib.sha256(sink.getvalue()).hexdigest())
    assert result.note is not None
    return sink.getvalue(), result.note


def stored(store: DirectoryStore, number: int, sheets: list[list[str]]) -> AssemblyPart:
    data, note = written(sheets)
    store.put(f"parts/{number}", data)
    return AssemblyPart(number, f"parts/{number}", len(sheets[0]), len(data), hashlib.sha256(data).hexdigest(), "k1", "k2", None, note)


def opened(store: DirectoryStore) -> OpenFile:
    layout = Layout(FRAME.head, FRAME.separator, FRAME.tail, FRAME.empty)
    return OpenFile(store, FileToWrite("a.xlsx", FORMAT.media_type, "files/a.xlsx", "xlsx", layout))


def texts(content: bytes) -> dict[str, list[str]]:
    """The first column of each sheet, without its header."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.testzip() is None
    book = openpyxl.load_workbook(io.BytesIO(content))
    return {sheet.title: [row[0] for row in sheet.iter_rows(min_row=2, max_col=1, values_only=True)] for sheet in book.worksheets}


PARTS = [[["c1", "c2"], ["m1", "m2", "m3"], []], [["c3"], [], []], [["c4"], ["m4"], ["e1", "e2"]]]
WHOLE = {"Conversations": ["c1", "c2", "c3", "c4"], "Messages": ["m1", "m2", "m3", "m4"], "Events": ["e1", "e2"]}


@pytest.mark.parametrize("turn", [1, None])
def test_each_sheet_is_gathered_from_all_parts_and_the_manifest_says_where_each_piece_lies(tmp_path: Path, turn: int | None) -> None:
    store = DirectoryStore(tmp_path)
    file = opened(store)
    for number, sheets in enumerate(PARTS, 1):
        file.add([stored(store, number, sheets)])
    turns = 1
    while turn is not None and file.more(turn):
        turns += 1
    made = file.complete()
    content = b"".join(store.read("files/a.xlsx"))
    assert texts(content) == WHOLE
    assert (made.rows, made.bytes, made.sha256) == (4, len(content), hashlib.sha256(content).hexdigest())
    entry = json.loads(made.entry)
    at, number = entry["frame"]["head"]["bytes"], 0
    for part in entry["parts"]:
        assert part["offset"] == at and part["number"] > number
        assert hashlib.sha256(content[at : at + part["bytes"]]).hexdigest() == part["sha256"]
        at, number = at + part["bytes"], part["number"]
    assert at + entry["frame"]["tail"]["bytes"] == len(content)
    assert sum(part["rows"] for part in entry["parts"]) == made.rows
    assert turn is None or turns == 4  # three pieces of other sheets, one at a time


def test_a_piece_that_is_not_what_was_written_is_found(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path)
    file, part = opened(store), stored(store, 1, PARTS[0])
    file.add([part])
    data = bytearray(b"".join(store.read(part.key)))
    data[-1] ^= 1
    store.put(part.key, bytes(data))
    with pytest.raises(PermanentError, match="not what the formatter wrote"):
        file.complete()
    file.abort()


def test_a_full_sheet_goes_on_in_another() -> None:
    """Within a part and between parts."""
    parts = [
        written([["c1"], [f"m{n}" for n in range(7)], ["e1"]], rows_max=3),
        written([["c2"], ["m7", "m8"], ["e2", "e3", "e4"]], rows_max=3),
    ]
    book = Book.of(json.loads(FRAME.tail))
    content = FRAME.head
    for data, note in parts:
        place = binding.first(note)
        content += data[place.start : place.start + place.size]
    for piece in binding.behind(book, [note for _, note in parts], rows_max=3):
        content += parts[piece.part][0][piece.start : piece.start + piece.size] if isinstance(piece, Slice) else piece
    assert texts(content) == {
        "Conversations": ["c1", "c2"], "Messages": ["m0", "m1", "m2"], "Messages 2": ["m3", "m4", "m5"], "Messages 3": ["m6", "m7", "m8"],
        "Events": ["e1"], "Events 2": ["e2", "e3", "e4"],
    }  # fmt: skip
    filters = {sheet.title: sheet.auto_filter.ref for sheet in openpyxl.load_workbook(io.BytesIO(content)).worksheets}
    assert filters["Messages 3"] == "A1:D4"


def test_a_workbook_without_rows_has_all_sheets() -> None:
    assert texts(FRAME.empty) == {name: [] for name in SHEETS}
