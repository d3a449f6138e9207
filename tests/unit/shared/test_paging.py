"""Pages: a walk along cursors sees every row once, whatever the size of a page; a cursor is good for its list alone."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request

from shared.errors import ApiError
from shared.paging import Page, made, page_of
from shared.parameters import Parameters

SECRET = b"s" * 32


def asked(query: str) -> Request:
    return Request({"type": "http", "query_string": query.encode(), "headers": []})


@given(st.lists(st.integers(0, 5)), st.integers(1, 7))
def test_a_walk_sees_every_row_once(seconds: list[int], limit: int) -> None:
    rows = sorted(
        ({"id": f"x_{n}", "created_at": datetime(2026, 3, 1, tzinfo=UTC) + timedelta(seconds=at)} for n, at in enumerate(seconds)), key=made
    )
    seen: list[Any] = []
    query = f"limit={limit}"
    while True:
        page = page_of(asked(query), SECRET, "things/org")
        found = [row for row in rows if page.behind is None or made(row) > page.behind][: page.sought]
        answer = json.loads(bytes(page.answer(found, (row["id"] for row in found)).body))
        seen += answer["data"]
        assert answer["has_more"] is (answer["next_cursor"] is not None)
        if not answer["has_more"]:
            break
        query = f"limit={limit}&cursor={answer['next_cursor']}"
    assert seen == [row["id"] for row in rows]


def test_a_cursor_is_good_for_its_list_alone() -> None:
    rows = [{"id": "a", "created_at": datetime(2026, 3, 1, tzinfo=UTC)}] * 2
    cursor = Page(1, None, "things/org_a", SECRET).following(rows)
    assert page_of(asked(f"cursor={cursor}"), SECRET, "things/org_a").behind == made(rows[0])
    for scope in ("things/org_b", "others/org_a"):
        with pytest.raises(ApiError) as refused:
            page_of(asked(f"cursor={cursor}"), SECRET, scope)
        assert [d.field for d in refused.value.details] == ["cursor"]


def test_filters_name_all_that_is_wrong_at_once() -> None:
    given = Parameters(asked("kind=b&kind=x&kind=a&since=soon&once=1&once=2&other=1"), ("since", "once"), ("kind",))
    assert (given.some_of("kind", ("a", "b")), given.instant("since")) == (("a", "b", "x"), None)
    with pytest.raises(ApiError) as refused:
        given.require_right()
    assert sorted(d.field for d in refused.value.details) == ["kind", "once", "other", "since"]
    right = Parameters(asked("kind=b&kind=a&since=2026-03-01&limit=3"), ("since",), ("kind",))
    right.require_right()
    assert right.some_of("kind", ("a", "b")) == ("a", "b") and right.instant("since") == datetime(2026, 3, 1, tzinfo=UTC)
