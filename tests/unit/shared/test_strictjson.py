"""Strict JSON: what it takes is what json takes, what it refuses is refused by name."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.strictjson import JsonProblem, loads

clean = st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=20)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(-(2.0**53), 2.0**53) | clean,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(clean, inner, max_size=4),
    max_leaves=20,
)


@given(values)
def test_it_reads_what_json_writes(value: Any) -> None:
    assert loads(json.dumps(value), nesting_max=64) == value


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ('{"a": 1, "a": 2}', "a"),
        ('{"a": [{"b": 1}, {"c": {"d": 1, "d": 2}}]}', "a.1.c.d"),
        ('{"a": {"b": "x\\u0000"}}', "a.b"),
        ('["\\ud800"]', "0"),
        ('{"n": 9007199254740993}', "n"),
        ('{"n": 1e999}', "n"),
        ('{"n": 1E20}', "n"),
        ('{"n": [-1e300]}', "n.0"),
        ('{"n": 9007199254740993.0}', "n"),
        ('{"n": -9.007199254740993e15}', "n"),
        ('{"a": NaN}', ""),
        ('{"a": ', ""),
        ("", ""),
        ("[" * 10_000 + "]" * 10_000, ""),
    ],
)
def test_it_refuses_by_name(text: str, field: str) -> None:
    with pytest.raises(JsonProblem) as problem:
        loads(text)
    assert problem.value.field == field


@pytest.mark.parametrize("text", ["9007199254740992", "9007199254740992.0", "9.007199254740992e15", "-9007199254740992.000"])
def test_the_largest_whole_number_is_one_however_it_is_written(text: str) -> None:
    assert type(loads(text)) is int
    assert abs(loads(text)) == 2**53


def test_nesting_is_bounded_with_its_path() -> None:
    assert loads("[" * 32 + "]" * 32)
    with pytest.raises(JsonProblem) as problem:
        loads("[" * 33 + "]" * 33)
    assert problem.value.field == ".".join(["0"] * 32)


def test_bytes_that_are_not_utf8_say_where() -> None:
    with pytest.raises(JsonProblem) as problem:
        loads(b'{"a": "\xff"}')
    assert "byte 7" in problem.value.message


def test_a_surrogate_pair_is_a_character() -> None:
    assert loads('"\\ud83d\\ude00"') == "😀"
