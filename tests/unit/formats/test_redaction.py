"""Detectors against plain references, and pseudonyms against the standard library."""

import hmac
import re
from collections.abc import Iterator
from typing import Any

import duckdb
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from shared.formats import macros
from shared.formats.detectors import DETECTORS, IBAN_LENGTHS
from shared.formats.redaction import key_statements, pseudonym_key

KEY = pseudonym_key(b"a secret of the tests", "org_1", "support")
FOUND = {
    "email": ["jane.doe+x@acme.co.uk", "JÜRGEN@müller.de", "o'brien@x-y.io", "jane%40acme.com"],
    "url": ["https://x.y/z?a=b#c", "HTTP://x", "www.acme.com/x"],
    "iban": ["BE68 5390 0754 7034", "be68539007547034", "GB82 WEST 1234 5698 7654 32", "NO93-8601-1117-947"],
    "card_number": ["4111 1111 1111 1111", "4111-1111-1111-1111", "378282246310005", "5555.5555.5555.4444"],
    "ip_address": ["10.0.0.255", "2001:db8::1", "fe80:0:0:0:1:2:3:4", "::ffff:10.1.2.3"],
    "phone": ["+32 (0)470 12 34 56", "02/123.45.67", "0470 12 34 56", "(555) 123-4567", "1-555-123-4567", "00 32 470 123456", "020 7946 0958", "+12025550123"],
}  # fmt: skip
LEFT = {
    "email": ["a@b", "@here", "x @ y.z"], "url": ["http://", "wwwx.y"], "iban": ["BE69 5390 0754 7034", "ZZ68539007547034", "BE6853900754703"],
    "card_number": ["4111111111111112", "1774000000000", "411111111111"], "ip_address": ["09:22:41", "std::vector", "1.2.3", "::", "999.999.1.1"],
    "phone": ["2026-03-15 10:22:41.123", "2026-03-15T10:22:41Z", "01-02-2026", "01/02/2026 10:30", "0.123456789", "msg_0470123456", "12345678"],
}  # fmt: skip


@pytest.fixture(scope="module")
def run() -> Iterator[Any]:
    connection = duckdb.connect(config={"threads": 1})
    connection.execute(macros.encoders())
    for statement in key_statements(KEY):
        connection.execute(statement)
    yield lambda sql, *given: connection.execute(f"select {sql}", given).fetchone()
    connection.close()


@pytest.mark.parametrize("name", sorted(DETECTORS))
def test_what_a_detector_finds_and_what_it_leaves(run: Any, name: str) -> None:
    for text in FOUND[name]:
        assert run(f"redact_{name}(x), count_{name}(x) from (select $1 as x)", f"a {text}, b") == ("a [REDACTED], b", 1), text
    for text in LEFT[name]:
        assert run(f"redact_{name}(x), count_{name}(x) from (select $1 as x)", f"a {text}, b") == (f"a {text}, b", 0), text
    assert run(f"redact_{name}(null), count_{name}(null)") == (None, 0)


def luhn(digits: str) -> bool:
    doubled = [int(d) * (1 + i % 2) for i, d in enumerate(reversed(digits))]
    return sum(n // 10 + n % 10 for n in doubled) % 10 == 0


@given(digits=st.from_regex(r"\A[0-9]{12,20}\Z"), valid=st.booleans(), gap=st.sampled_from(["", " ", "-"]))
@settings(max_examples=40, deadline=None)
def test_luhn_decides_over_card_numbers(run: Any, digits: str, valid: bool, gap: str) -> None:
    if valid:
        digits = next(digits[:-1] + d for d in "0123456789" if luhn(digits[:-1] + d))
    text = gap.join(digits[i : i + 4] for i in range(0, len(digits), 4))
    parts = text.split(gap) if gap else [text]
    windows = ["".join(parts[i:j]) for i in range(len(parts)) for j in range(i + 1, len(parts) + 1)]
    expected = any(13 <= len(w) <= 19 and w[0] in "23456" and luhn(w) for w in windows)
    assert run("count_card_number($1)", text) == (int(expected),)


@given(length=st.sampled_from(sorted(IBAN_LENGTHS)), data=st.data())
@settings(max_examples=40, deadline=None)
def test_the_checksum_decides_over_ibans(run: Any, length: int, data: st.DataObject) -> None:
    country = data.draw(st.sampled_from(IBAN_LENGTHS[length].split()))
    account = data.draw(st.text("0123456789ABCXYZ", min_size=length, max_size=length))
    check = data.draw(st.integers(2, 98))
    number = int("".join(str(int(c, 36)) for c in account + country + f"{check:02}"))
    assert run("count_iban($1)", f"x {country}{check:02}{account} y") == (int(number % 97 == 1),)


@given(text=st.text(st.sampled_from('0123456789 .-+()@:/abcdefABCDEF%wBE\n"\\é\1'), max_size=60))
@example(text="0:00000:")  # what is behind a candidate would be one at the beginning of a text
@settings(max_examples=60, deadline=None)
def test_what_is_around_a_match_stays(run: Any, text: str) -> None:
    for name in DETECTORS:
        made, count = run(f"redact_{name}($1), count_{name}($1)", text)
        assert made.count("[REDACTED]") == count
        assert re.fullmatch(".*".join(map(re.escape, made.split("[REDACTED]"))), text, re.DOTALL)


@given(text=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=40))
@settings(max_examples=40, deadline=None)
def test_pseudonyms_are_hmac_sha_256(run: Any, text: str) -> None:
    assert run("pseudonym($1)", text) == ("p_" + hmac.digest(KEY, text.encode(), "sha256").hex()[:32],)


def test_keys_differ_by_organisation_and_profile() -> None:
    keys = {pseudonym_key(b"s", org, profile) for org, profile in (("a", "b"), ("a", "c"), ("b", "b"), ("ab", ""), ("", "ab"))}
    assert len(keys) == 5
    assert pseudonym_key(b"s", "a", "b") in keys


def test_without_a_key_a_pseudonym_is_nothing() -> None:
    with duckdb.connect() as connection:
        connection.execute(macros.encoders())
        assert connection.execute("select pseudonym('x')").fetchone() == (None,)


def test_a_texts_beginning_is_a_third_of_it_at_most(run: Any) -> None:
    assert run("beginning('Ana'), beginning('A'), beginning('Alexandra'), beginning(null)") == ("A…", "…", "Ale…", None)
    assert run("year_of('2026-03-15T10:00:00Z'), year_of('2026-03'), year_of('20260'), year_of(null)") == (
        "2026",
        "2026",
        "[REDACTED]",
        None,
    )
