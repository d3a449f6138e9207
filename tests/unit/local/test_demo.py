"""The demo's pure part."""

from pathlib import Path

import pytest

from deploy.local.demo import halves


@pytest.mark.parametrize("text", [b"a\nb\nc\nd\n", b"a\n", b"", b"aaaaaaaaaaaa\nb\n", b"a\nbbbbbbbbbbbbbbb\n"])
def test_the_halves_are_whole_lines_and_together_the_whole(tmp_path: Path, text: bytes) -> None:
    path = tmp_path / "records.ndjson"
    path.write_bytes(text)
    first, second = halves(path)
    assert first.read_bytes() + second.read_bytes() == text
    assert all(half.read_bytes().endswith(b"\n") or not half.read_bytes() for half in (first, second))
