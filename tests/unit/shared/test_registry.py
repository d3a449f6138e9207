"""Registries find their modules and refuse two of a name."""

import sys
from pathlib import Path

import pytest

from shared.datasets import registry as datasets
from shared.formats import registry as formats
from shared.registry import discover

ENTRY = "class Entry:\n    name, path = {name!r}, {path!r}\n\n\nENTRY = Entry()\n"


def test_the_registries_know_what_is_there() -> None:
    assert {"conversations", "leads", "messages"} <= set(datasets.names())
    assert {"csv", "json", "jsonl", "txt"} <= set(formats.names())
    assert datasets.get("leads").name == "leads"


@pytest.mark.parametrize(("name", "path", "refused"), [("b", "two", False), ("a", "two", True), ("b", "one", True)])
def test_two_of_a_name_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, path: str, refused: bool) -> None:
    package = f"found_{name}_{path}"
    (tmp_path / package).mkdir()
    (tmp_path / package / "__init__.py").write_text("")
    (tmp_path / package / "first.py").write_text(ENTRY.format(name="a", path="one"))
    (tmp_path / package / "second.py").write_text(ENTRY.format(name=name, path=path))
    (tmp_path / package / "helper.py").write_text("VALUE = 1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    __import__(package)
    if refused:
        with pytest.raises(ValueError, match="there already"):
            discover(sys.modules[package], "ENTRY", "path")
    else:
        assert sorted(discover(sys.modules[package], "ENTRY", "path")) == ["a", "b"]
