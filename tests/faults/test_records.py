"""The rules of `version`, as docs/records.md has them, one example each."""

import pytest

from tests.faults.records import Record, current, envelope, mark_text, read_mark


def lead(mark: str, version: int | None = None, op: str = "upsert") -> Record:
    return Record("lead", "a", mark, op, version)


@pytest.mark.parametrize(
    ("sent", "there"),
    [
        ([lead("one", 1), lead("two", 2)], (2, "two")),
        ([lead("two", 2), lead("one", 1)], (2, "two")),
        ([lead("one", 1), lead("again", 1)], (1, "one")),
        ([lead("two", 2), lead("", 3, "delete")], None),
        ([lead("", 3, "delete"), lead("two", 2)], None),
        ([lead("", 3, "delete"), lead("four", 4)], (4, "four")),
        ([lead("two", 2), lead("plain")], (2, "plain")),
        ([lead("plain"), lead("later")], (None, "later")),
        ([lead("plain"), lead("", None, "delete")], None),
        ([lead("two", 2), lead("", None, "delete"), lead("one", 1)], None),
        ([lead("", None, "erase"), lead("nine", 9)], None),
        ([lead("one", 1), lead("", 0, "erase")], None),
    ],
)
def test_what_is_held(sent: list[Record], there: tuple[int | None, str] | None) -> None:
    assert current(sent) == ({("lead", "a"): there} if there else {})


def test_a_mark_comes_back_from_its_text() -> None:
    record = Record("message", "long", "v3", bulk=1000)
    text = mark_text(record, "token")
    assert len(text) > 1000
    assert text == mark_text(record, "token")
    assert read_mark(text, "token") == "v3"
    assert read_mark(text, "other") == text
    assert envelope(record, "token", "org")["data"]["content"] == text
