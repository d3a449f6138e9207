"""Error answers: what is wrong is named, and an answer never outgrows its request."""

from collections.abc import Callable

import pytest

from shared.errors import DETAILS_MAX, ApiError, Detail, invalid_request, unprocessable


@pytest.mark.parametrize("refused", [invalid_request, unprocessable])
@pytest.mark.parametrize("wrong", [1, DETAILS_MAX, DETAILS_MAX + 1, 100_000])
def test_so_many_are_named_and_the_others_counted(refused: Callable[..., ApiError], wrong: int) -> None:
    error = refused(*(Detail(f"f{n}", "unknown field") for n in range(wrong)))
    named = [d for d in error.details if d.field]
    assert [d.field for d in named] == [f"f{n}" for n in range(min(wrong, DETAILS_MAX))]
    rest = [d.message for d in error.details if not d.field]
    assert rest == ([f"{wrong - DETAILS_MAX} more are wrong"] if wrong > DETAILS_MAX else [])
    assert ("more)" in error.message) is (wrong > 1)
