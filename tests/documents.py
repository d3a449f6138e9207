"""PDFs as readers that we didn't write see them, and pictures for them."""

import io
import re
import struct
import subprocess
import zlib
from typing import Any

import pypdf
import pypdfium2

# Baseline, grey, 8 by 8.
JPEG = bytes.fromhex(
    "ffd8ffe000104a46494600010100000100010000ffdb00430050373c463c32504641465a55505f78c882786e6e78f5afb991c8ffffffffffffffffffffffffffff"
    "ffffffffffffffffffffffffffffffffffffffffffffffffffc0000b080008000801011100ffc40014000100000000000000000000000000000000ffc400141001"
    "00000000000000000000000000000000ffda0008010100003f003fffd9"
)


def png(width: int = 40, height: int = 20, data: bytes | None = None) -> bytes:
    """A picture of one blue; `data` in place of its lines."""
    lines = (b"\0" + b"\x1d\x4f\x91" * width) * height if data is None else data

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")


def words(pdf: bytes) -> str:
    """The text of all pages in reading order, single blanks between."""
    document = pypdfium2.PdfDocument(pdf)
    return re.sub(r"\s+", " ", " ".join(page.get_textpage().get_text_range() for page in document)).strip()


def printed(pdf: bytes) -> str:
    """The text as pdftotext gives it, laid out as on the pages, single blanks between; without the marks that it sets around what is read from the right."""
    done = subprocess.run(["pdftotext", "-enc", "UTF-8", "-layout", "-", "-"], input=pdf, capture_output=True, check=True, timeout=60)
    assert not done.stderr, done.stderr[-500:]
    return " ".join(re.sub("[\u202a-\u202e]", "", done.stdout.decode()).split())


def fonts(pdf: bytes) -> dict[str, bool]:
    """Each font and whether its outlines are in the file."""
    found: dict[str, bool] = {}
    for page in pypdf.PdfReader(io.BytesIO(pdf)).pages:
        for font in page["/Resources"].get("/Font", {}).values():
            inner = font.get_object()["/DescendantFonts"][0].get_object()
            descriptor = inner["/FontDescriptor"].get_object()
            found[str(inner["/BaseFont"])] = any(key in descriptor for key in ("/FontFile2", "/FontFile3"))
    return found


def tags(pdf: bytes) -> list[tuple[str, Any]]:
    """The structure's elements in order: kind, and the text that stands for it."""
    found: list[tuple[str, Any]] = []

    def walk(node: Any) -> None:
        node = node.get_object()
        if isinstance(node, list):
            for each in node:
                walk(each)
        elif isinstance(node, dict) and ("/S" in node or node.get("/Type") == "/StructTreeRoot"):
            if "/S" in node:
                found.append((str(node["/S"]).removeprefix("/"), node.get("/Alt")))
            if "/K" in node:
                walk(node["/K"])

    walk(pypdf.PdfReader(io.BytesIO(pdf)).trailer["/Root"]["/StructTreeRoot"])
    return found
