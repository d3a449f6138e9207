"""What may stand in a destination of type email, and what its mails say."""

from datetime import UTC, datetime
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.delivery.core.destinations.kinds import Rules
from services.delivery.core.destinations.letters import File, size_of, words_of
from services.delivery.core.destinations.registry import all_kinds

KIND, RULES = all_kinds()["email"], Rules("org_acme", mail=True)
ADA = "ada@b.example"


def wrong(name: str, value: Any) -> list[str]:
    (field,) = (each for each in KIND.fields if each.name == name)
    return [f"{detail.field}: {detail.message}" for detail in field.check(f"config.{name}", value, RULES)]


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("to", [[ADA], [ADA, "x+y@sub.b.example"]]),
        ("send", ["link", "file"]),
        ("attach_bytes_max", [1, 20 << 20]),
        ("subject", ["Hello", "{dataset} {from}–{to} «März»"]),
    ],
)
def test_what_will_do(name: str, values: list[Any]) -> None:
    assert [(value, problem) for value in values if (problem := wrong(name, value))] == []


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("to", [[], ADA, None, [7], [ADA] * 2, [ADA, ADA.upper()], ["a@b"], ["a b@c.example"], ["Ada <a@b.example>"], ["a@b.example\nBcc: c@d.example"],
                [f"a{i}@b.example" for i in range(51)], ["a@b.example,c@d.example"], ['"a b"@c.example'], ["a@[127.0.0.1]"]]),
        ("send", ["mail", None, 7]),
        ("attach_bytes_max", [0, -1, (20 << 20) + 1, "5", True, 1.5]),
        ("subject", ["", " ", "a\r\nBcc: eve@c.example", "a\nb", "{nothing}", "{", "x" * 201, 7, "a\u2028b"]),
    ],
)  # fmt: skip
def test_what_is_refused(name: str, values: list[Any]) -> None:
    assert [value for value in values if not wrong(name, value)] == []


def test_no_refusal_and_no_place_names_an_address() -> None:
    said = " ".join(wrong("to", [ADA, ADA, "ada@b"])) + KIND.where({"to": [ADA, "bob@b.example"]})
    assert "ada@" not in said and "bob" not in said


class Seen(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("href", "src")]

    def handle_data(self, data: str) -> None:
        self.text += data


names = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=50)


@given(st.lists(names, min_size=1, max_size=4), st.booleans())
def test_names_of_files_are_only_ever_shown(given_names: list[str], linked: bool) -> None:
    files = [File(name, 12_345, f"https://w.example/v1/downloads/{i}" if linked else "") for i, name in enumerate(given_names)]
    words = words_of("messages", "exp_01", files, None, datetime(2026, 3, 4, tzinfo=UTC))
    read = Seen()
    read.feed(words.html)
    assert set(read.tags) <= {"html", "head", "meta", "title", "body", "p", "ul", "li", "a"}
    assert read.links == [file.link for file in files if file.link]
    for file in files:
        assert file.name in read.text
        assert file.name in words.text and file.link in words.text


@pytest.mark.parametrize(("size", "shown"), [(0, "0 bytes"), (999, "999 bytes"), (12_345, "12.3 kB"), (5 << 30, "5.4 GB")])
def test_sizes(size: int, shown: str) -> None:
    assert size_of(size) == shown
