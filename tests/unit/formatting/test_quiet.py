"""Columns at whose texts nobody has to look: the least thing that means something to a format is found, wherever it stands."""

import pyarrow as pa
import pytest

from shared.formats.base import Quiet
from shared.formatting.quiet import quiet_columns

QUIET = ["", "Ann “A.” O'Neill", None, "lead_01FF", "a b", '{"industry":"SaaS"}', "x" * 32_767, "，", ""]


def found(texts: list[str | None]) -> bool:
    """Whether the column is quiet; as a slice of a larger one, too."""
    whole = pa.chunked_array([pa.array(texts, pa.large_string())])
    alone = "x" in quiet_columns(pa.table({"x": whole}))
    inside = pa.chunked_array([pa.array(["<", *texts, "<"], pa.large_string()).slice(1, len(texts))])
    assert ("x" in quiet_columns(pa.table({"x": inside}))) == alone
    return alone


def test_what_is_quiet() -> None:
    assert found(QUIET)
    assert found([])
    assert found([None, None])


@pytest.mark.parametrize(
    "text", ["a&b", "<", "a>", "a\\b", " a", "a ", "\t", "a\nb", "\x1f", "_x0041_", "\ufffe", "\uffff", "x" * 32_768, '" a"', '{"k":"b "}']
)
@pytest.mark.parametrize("place", [0, 4, len(QUIET)])
def test_one_text_is_enough(text: str, place: int) -> None:
    assert not found([*QUIET[:place], text, *QUIET[place:]])


def test_lists_are_their_texts_and_numbers_are_none() -> None:
    columns = {"quiet": pa.array([["a", "b c"], [], None], pa.large_list(pa.large_string())), "loud": pa.array([["a"], [" b"], []], pa.large_list(pa.large_string())),
               "number": pa.array([1, 2, 3])}  # fmt: skip
    assert quiet_columns(pa.table(columns)) == {"quiet": Quiet(full=False, unquoted=True)}


@pytest.mark.parametrize(
    ("entries", "characters", "quiet"), [(1_000, 31, True), (1_000, 32, False), (40_000, 0, False), (1, 32_766, True), (1, 32_768, False)]
)
def test_a_list_is_one_text_with_commas(entries: int, characters: int, quiet: bool) -> None:
    """What is too long for a cell is so together, though each entry is short."""
    lists = pa.array([["a"], None, ["<"], ["x" * characters] * entries, []], pa.large_list(pa.large_string()))
    table = pa.table({"x": pa.chunked_array([lists.slice(3, 2), lists.slice(0, 2)])})
    assert ("x" in quiet_columns(table)) is quiet
