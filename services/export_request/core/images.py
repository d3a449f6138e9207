"""Whether a logo is a whole PNG or JPEG of a sane size: readers of pictures are handed no others.

Sources: PNG (W3C, third edition), ITU-T T.81 annex B.
"""

import struct
import zlib

SIDE_MAX = 2_000
_PNG = b"\x89PNG\r\n\x1a\n"
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
_PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
_FRAMES = (0xC0, 0xC1, 0xC2)  # baseline, extended, progressive: what readers read
_ALONE = (0x01, *range(0xD0, 0xD8))  # markers without a segment


def problem_with(image: bytes) -> str | None:
    """What is wrong with a PNG or JPEG, for people; null: nothing. Its size in memory is bounded before anything is unpacked."""
    try:
        width, height = _png(image) if image.startswith(_PNG) else _jpeg(image)
    except (ValueError, IndexError, struct.error, zlib.error):
        return "is damaged or no such picture"
    return None if 1 <= width <= SIDE_MAX and 1 <= height <= SIDE_MAX else f"is {width} × {height} pixels"


def _png(image: bytes) -> tuple[int, int]:
    chunks = _chunks(image)
    if chunks[0][0] != b"IHDR" or chunks[-1] != (b"IEND", b""):
        raise ValueError("no header or no end")
    width, height, depth, colour, method, filtering, interlaced = struct.unpack(">IIBBBBB", chunks[0][1])
    palettes = [data for kind, data in chunks if kind == b"PLTE"]
    if depth not in _DEPTHS[colour] or (method, filtering) != (0, 0) or interlaced > 1:
        raise ValueError("no such kind")
    if colour == 3 and (len(palettes) != 1 or len(palettes[0]) % 3 or not palettes[0]):
        raise ValueError("no palette")
    if max(width, height) <= SIDE_MAX:
        _unpacked(
            b"".join(data for kind, data in chunks if kind == b"IDAT"), _lines(width, height, depth * _CHANNELS[colour], interlaced == 1)
        )
    return width, height


def _chunks(image: bytes) -> list[tuple[bytes, bytes]]:
    found, at = [], len(_PNG)
    while at < len(image):
        length, kind = struct.unpack_from(">I4s", image, at)
        data = image[at + 8 : at + 8 + length]
        if (zlib.crc32(kind + data),) != struct.unpack_from(">I", image, at + 8 + length):
            raise ValueError("a chunk is damaged")
        found.append((kind, data))
        at += 12 + length
    return found


def _lines(width: int, height: int, bits: int, interlaced: bool) -> list[int]:
    """The bytes of each line, without the one that names its filter."""
    if not interlaced:
        return [(width * bits + 7) // 8] * height
    lines: list[int] = []
    for x, y, across, down in _PASSES:
        columns, rows = -(-(width - x) // across), -(-(height - y) // down)
        if columns > 0 and rows > 0:
            lines += [(columns * bits + 7) // 8] * rows
    return lines


def _unpacked(packed: bytes, lines: list[int]) -> None:
    """Raises ValueError where it isn't what lines of these lengths are."""
    size = sum(lines) + len(lines)
    unpacker = zlib.decompressobj()
    data = unpacker.decompress(packed, size)
    if len(data) != size or (not unpacker.eof and unpacker.decompress(unpacker.unconsumed_tail, 1)):
        raise ValueError("too little or too much")
    at = 0
    for length in lines:
        if data[at] > 4:
            raise ValueError("no such filter")
        at += 1 + length


def _jpeg(image: bytes) -> tuple[int, int]:
    """Width and height, where its segments are whole and its last marker ends it."""
    if not image.rstrip(b"\0").endswith(b"\xff\xd9"):
        raise ValueError("no end")
    at, size, tables, scans = 2, None, 0, 0
    while image[at : at + 2] != b"\xff\xd9":
        marker, length = image[at + 1], struct.unpack_from(">H", image, at + 2)[0]
        if image[at] != 0xFF or marker in _ALONE or length < 2:
            raise ValueError("no segment")
        segment = image[at + 4 : at + 2 + length]
        if marker in _FRAMES:
            depth, height, width, components = struct.unpack_from(">BHHB", segment)
            if size is not None or depth != 8 or components not in (1, 3, 4) or len(segment) != 6 + 3 * components:
                raise ValueError("no such kind")
            size = (width, height)
        tables += marker == 0xC4
        at += 2 + length
        if marker == 0xDA:
            if size is None or not tables:
                raise ValueError("a scan of nothing")
            scans, at = scans + 1, _after_scan(image, at)
    if size is None or not scans:
        raise ValueError("no picture")
    return size


def _after_scan(image: bytes, at: int) -> int:
    """Where the marker behind a scan's data stands; those that begin anew belong to it."""
    while True:
        at = image.index(b"\xff", at)
        if image[at + 1] and not 0xD0 <= image[at + 1] <= 0xD7:
            return at
        at += 2
