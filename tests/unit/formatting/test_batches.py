"""Columns of Arrow as PostgreSQL takes them."""

import re

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from shared.formatting.batches import array_text

TEXTS = st.one_of(st.none(), st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=5), st.text('\\",{}', max_size=5))


def elements(text: str) -> list[str]:
    """The texts of PostgreSQL's text of an array, each in quotation marks."""
    assert re.fullmatch(r'\{("([^"\\]|\\.)*"(,(?="))?)*\}', text, re.DOTALL)
    return [re.sub(r"\\(.)", r"\1", found, flags=re.DOTALL) for found in re.findall(r'"((?:[^"\\]|\\.)*)"', text, re.DOTALL)]


@given(st.lists(TEXTS, max_size=8), st.integers(0, 8))
def test_an_array_has_each_text_of_a_column_once(column: list[str | None], cut: int) -> None:
    chunks = pa.chunked_array([pa.array(some, pa.large_string()) for some in (column[:cut], column[cut:])])
    distinct = chunks.combine_chunks().dictionary_encode().dictionary  # as chunks.pull asks for them
    assert elements(array_text(distinct)) == list(dict.fromkeys(text for text in column if text is not None))
