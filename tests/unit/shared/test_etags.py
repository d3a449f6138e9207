"""If-Match, as RFC 9110 reads it."""

import pytest

from shared.errors import ApiError
from shared.etags import require_match


@pytest.mark.parametrize("if_match", [None, "*", '"1"', '"2" , "1"', 'W/"1", "1"'])
def test_what_is_known_may_be_changed(if_match: str | None) -> None:
    assert refusal(if_match, '"1"') is None
    assert refusal(if_match, '"3"') == (None if if_match in (None, "*") else 412), "and what has changed meanwhile may not"


def refusal(if_match: str | None, etag: str) -> int | None:
    try:
        require_match(if_match, etag)
    except ApiError as error:
        return error.status
    return None


@pytest.mark.parametrize(
    ("if_match", "status"), [*((tags, 412) for tags in ('W/"1"', '"2"')), *((text, 400) for text in ("1", '"1', "", '"1",', "* , *"))]
)
def test_what_is_not_is_refused(if_match: str, status: int) -> None:
    with pytest.raises(ApiError) as refused:
        require_match(if_match, '"1"')
    assert refused.value.status == status
    assert refused.value.headers.get("ETag") == ('"1"' if status == 412 else None)
    assert [d.field for d in refused.value.details] == (["If-Match"] if status == 400 else [])
