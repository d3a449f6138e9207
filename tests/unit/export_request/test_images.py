"""Logos: what is a picture, and what only looks like one."""

import base64
import random
import struct
import zlib

import pytest
import typst

from services.export_request.core.images import SIDE_MAX, problem_with
from tests.documents import JPEG, png

# One of each kind of PNG, as another program (Pillow) wrote them: 5 by 3 pixels.
KINDS = {
    "palette": "iVBORw0KGgoAAAANSUhEUgAAAAUAAAADAQMAAABh+Fe7AAAAA1BMVEUAAACnej3aAAAADklEQVR4nGNgYGBgYAAAAAYAAXKCmeoAAAAASUVORK5CYII=",
    "grey": "iVBORw0KGgoAAAANSUhEUgAAAAUAAAADCAAAAAB+XZokAAAAC0lEQVR4nGNgQAcAABIAAXfx+gAAAAAASUVORK5CYII=",
    "bits": "iVBORw0KGgoAAAANSUhEUgAAAAUAAAADAQAAAABzTfhVAAAADklEQVR4nGNgYGBgYAAAAAYAAXKCmeoAAAAASUVORK5CYII=",
    "alpha": "iVBORw0KGgoAAAANSUhEUgAAAAUAAAADCAYAAABbNsX4AAAADElEQVR4nGNgoAgAAAA/AAEc1neRAAAAAElFTkSuQmCC",
    "grey and alpha": "iVBORw0KGgoAAAANSUhEUgAAAAUAAAADCAQAAADxPw1zAAAAC0lEQVR4nGNgIAAAACEAAcdv3ZQAAAAASUVORK5CYII=",
    "16 bits": "iVBORw0KGgoAAAANSUhEUgAAAAUAAAADEAAAAAAuzUZnAAAAC0lEQVR4nGNgIAAAACEAAcdv3ZQAAAAASUVORK5CYII=",
}
START = b"\x89PNG\r\n\x1a\n"


def test_whole_pictures_are_taken() -> None:
    for picture in (png(), png(1, 1), png(SIDE_MAX, 2), JPEG, JPEG + b"\0"):
        assert problem_with(picture) is None


@pytest.mark.parametrize("size", [(SIDE_MAX + 1, 1), (1, SIDE_MAX + 1), (60_000, 60_000)])
def test_sizes_are_bounded_before_anything_is_unpacked(size: tuple[int, int]) -> None:
    assert f"{size[0]} × {size[1]} pixels" in str(problem_with(png(*size, data=b"")))


def test_what_isnt_whole_isnt_taken() -> None:
    whole = png()
    end = whole.index(b"IEND") - 4
    broken = [
        whole[:-1], whole[:end], whole + b"x", whole[:40] + b"x" + whole[41:], png(data=b"\0" * 10), png(data=b"\0" * 100_000), png(data=b"\5" + b"\0" * 120 * 20),
        START, b"", b"GIF89a", b"<svg/>", whole.replace(b"IDAT", b"JDAT"), whole[:8] + whole[end:],
        START + struct.pack(">I4s", 2**31, b"IHDR") + b"\0" * 20, png(data=zlib.compress(b"\0" * 2**24)),
        JPEG[:-2], JPEG[:20] + b"\xff\xd9", b"\xff\xd8\xff\xd9", b"\xff\xd8\xff\xe0\0\0\xff\xd9", b"\xff\xd8\xff\xda\0\2\xff\xd9",
    ]  # fmt: skip
    assert [problem_with(each) for each in broken] == ["is damaged or no such picture"] * len(broken)


def test_what_is_taken_can_be_drawn() -> None:
    """PNGs are checked to the last bit that a reader looks at; of a JPEG's tables the reader knows more than we do."""
    luck = random.Random(20261126)
    pictures = [png(7, 5), *(base64.b64decode(each) for each in KINDS.values())]
    assert not any(problem_with(each) for each in pictures)
    taken = 0
    for _ in range(600):
        damaged = bytearray(luck.choice(pictures))
        damaged[luck.randrange(len(damaged))] = luck.randrange(256)
        if problem_with(bytes(damaged)) is None:
            taken += 1
            typst.compile(b'#image(bytes(json(bytes(sys.inputs.b))), format: "png")', sys_inputs={"b": str(list(damaged))})
    assert taken
