"""Workbooks under a password: Office files that others open, with the password alone."""

import hashlib
import io
from collections.abc import Iterable
from pathlib import Path

import msoffcrypto
import msoffcrypto.exceptions
import openpyxl
import pytest
import pyzipper

from services.delivery import protecting
from services.delivery.protecting import OfficeWriter, ZipWriter
from shared.datasets.plan import PlanSpec
from shared.errors import PermanentError
from shared.formats import protection
from shared.formats import registry as formats
from shared.formats.xlsx import FORMAT, Fragment
from tests.readers.libreoffice import sheets

PASSWORD = "Abcd1234"  # pragma: allowlist secret


class Kept:
    """A FileWriter that keeps what it is given."""

    def __init__(self) -> None:
        self.data, self.ended = b"", ""

    def append(self, data: bytes | memoryview) -> None:
        self.data += bytes(data)

    def append_object(self, key: str, size: int, pieces: Iterable[bytes | memoryview]) -> None:
        self.data += b"".join(bytes(piece) for piece in pieces)

    def complete(self) -> None:
        self.ended = "complete"

    def abort(self) -> None:
        self.ended = "aborted"


@pytest.fixture(scope="module")
def workbook() -> bytes:
    book = openpyxl.Workbook()
    for row in range(2_000):
        book.active.append([row, "Ünïcode ☃", "=1+1"])
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def written(workbook: bytes) -> tuple[Kept, OfficeWriter]:
    kept = Kept()
    writer = OfficeWriter(kept, PASSWORD)
    half = len(workbook) // 2
    writer.append(workbook[:half])
    writer.append_object("part", len(workbook) - half, [workbook[half : half + 100], workbook[half + 100 :]])
    assert kept.data == b""
    writer.complete()
    return kept, writer


def opened(data: bytes, password: str) -> bytes:
    file = msoffcrypto.OfficeFile(io.BytesIO(data))
    assert file.is_encrypted()
    file.load_key(password=password, verify_password=True)
    out = io.BytesIO()
    file.decrypt(out, verify_integrity=True)
    return out.getvalue()


def test_a_workbook_comes_back_with_its_password_alone(workbook: bytes) -> None:
    kept, writer = written(workbook)
    assert opened(kept.data, PASSWORD) == workbook
    assert openpyxl.load_workbook(io.BytesIO(opened(kept.data, PASSWORD))).active["B2000"].value == "Ünïcode ☃"
    assert workbook[:64] not in kept.data
    assert (writer.size, writer.sha256, kept.ended) == (len(kept.data), hashlib.sha256(kept.data).hexdigest(), "complete")
    with pytest.raises(msoffcrypto.exceptions.InvalidKeyError):
        opened(kept.data, PASSWORD + "5")


def test_a_spreadsheet_program_opens_one_of_ours_with_its_password_alone(tmp_path: Path) -> None:
    rows, made = [["lead_1", "Ünïcode ☃"], ["lead_2", "=1+1"], ["lead_3", "00123"]], Fragment()
    wanted = PlanSpec(dataset="leads", formats=["xlsx"], columns={"xlsx": ["id", "name"]})
    frame = FORMAT.frame(wanted)
    cells = "".join("<row>" + "".join(f'<c t="str"><v>{text}</v></c>' for text in row) + "</row>" for row in rows)
    sheet = made.compress(cells.encode()) + made.flush()
    kept, _ = written(frame.head + sheet + FORMAT.ending(frame.tail, [made.note(len(rows))]))
    assert sheets(kept.data, [PASSWORD + "5", PASSWORD, "x"], tmp_path) == [None, [["id", "name"], *rows], None]


def test_no_two_are_the_same(workbook: bytes) -> None:
    assert written(workbook)[0].data != written(workbook)[0].data


def test_one_that_would_not_fit_into_memory_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protecting, "OFFICE_BYTES_MAX", 1_000)
    kept = Kept()
    writer = OfficeWriter(kept, PASSWORD)
    writer.append(bytes(1_000))
    with pytest.raises(PermanentError, match="max_rows_per_file") as refused:
        writer.append(b"1")
    assert refused.value.code == "workbook_too_large"
    writer.abort()
    assert (kept.data, kept.ended) == (b"", "aborted")


def test_a_zip_comes_back_with_its_password_alone_deflated_as_previews_weigh_it() -> None:
    text = b"".join(b'{"id":%d,"name":"Customer"}\n' % i for i in range(50_000))
    kept, deflater = Kept(), protection.deflater()
    writer = ZipWriter(kept, "a.json", PASSWORD)
    half = len(text) // 2
    writer.append(text[:half])
    writer.append_object("part", len(text) - half, [text[half:]])
    writer.complete()
    with pyzipper.AESZipFile(io.BytesIO(kept.data)) as opened:
        (info,) = opened.infolist()
        with pytest.raises(RuntimeError, match="password"):
            opened.read("a.json", pwd=PASSWORD.encode() + b"5")
        assert opened.read("a.json", pwd=PASSWORD.encode()) == text
    deflated = sum(len(deflater.compress(piece)) for piece in (text[:half], text[half:])) + len(deflater.flush())
    assert info.compress_size - deflated == 16 + 2 + 10  # its salt, what tells a wrong password, and its code


def test_each_format_has_its_own_way() -> None:
    ways = {name: type(protecting.protecting(formats.get(name), Kept(), f"a.{name}.zip", PASSWORD)) for name in formats.names()}
    assert {name for name, way in ways.items() if way is OfficeWriter} == {"xlsx"}
    assert {way for name, way in ways.items() if name != "xlsx"} == {ZipWriter}
