"""Canonical text, against the library that does nothing else."""

import json
from typing import Any

import pytest
import rfc8785
from hypothesis import example, given
from hypothesis import strategies as st

from services.ingest.core.free import Suspicious, canonical, count_keys

whole = 2**53 - 1
keys = st.text(st.characters(codec="utf-8"), max_size=6)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-whole, whole) | st.floats(-whole, whole) | st.text(st.characters(codec="utf-8")),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(keys, inner, max_size=5),
)


@given(st.dictionaries(keys, values))
@example({"\ue000": 1, "😀": 2})  # UTF-16 sorts these the other way round
@example({"a": [1.0, 1e5, 1e21, 1e-7, -0.0, 5e-324, 123456789.125], "": {}, "z": []})
@example({"t": '\u2028\x7f\x1f"\\/\b\f\n\r\t€'})
def test_canonical_text_is_rfc_8785(value: dict[str, Any]) -> None:
    assert canonical(value) == rfc8785.dumps(value).decode()


def test_numbers_print_as_a_double_does() -> None:
    assert canonical({"b": 1e5, "a": 1.0}) == '{"a":1,"b":100000}'
    assert canonical({"n": [2**53, -(2**53), 0.5]}) == '{"n":[9007199254740992,-9007199254740992,0.5]}'
    assert canonical([]) == "[]"


@given(st.dictionaries(keys, values, max_size=4))
def test_keys_are_counted(value: dict[str, Any]) -> None:
    seen = 0

    def count(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        nonlocal seen
        seen += len(pairs)
        return dict(pairs)

    json.loads(json.dumps(value), object_pairs_hook=count)
    assert count_keys(value, 3) == seen


@pytest.mark.parametrize("number", [2**53 + 1, -(2**53) - 1, 2.0**53, 1e20, -1e300])
def test_numbers_that_may_have_lost_digits_are_for_the_careful_way(number: float) -> None:
    with pytest.raises(Suspicious):
        count_keys({"a": [number]}, 3)
