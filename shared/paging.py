"""Lists over HTTP, page by page (what the document says of them: `PAGING`, `page` and `listing` of shared/openapi.py)."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import Any

from fastapi import Request
from fastapi.responses import JSONResponse

from shared import cursors
from shared.http import limit_of

PAGED = ("limit", "cursor")
Place = tuple[datetime, str]  # where a row is in the order of its list


def made(row: Any) -> Place:
    """The place of a row in a list by age."""
    return row["created_at"], row["id"]


@dataclass(frozen=True)
class Page:
    """The page that is asked for: `count` rows at most, those that follow `behind` (None: the first ones)."""

    count: int
    behind: Place | None
    scope: str
    secret: bytes = field(repr=False)

    @property
    def sought(self) -> int:
        """How many rows to look for: the one too many says that there is a next page."""
        return self.count + 1

    def following(self, rows: Sequence[Any], place: Callable[[Any], Place] = made) -> str | None:
        """The cursor of the next page. `rows` are those that were found, the one too many included."""
        return cursors.sign(self.secret, self.scope, *place(rows[self.count - 1])) if len(rows) > self.count else None

    def answer(self, rows: Sequence[Any], views: Iterable[Any], place: Callable[[Any], Place] = made) -> JSONResponse:
        """`views`: how rows are shown, in their order; no more of them are made than are shown."""
        following = self.following(rows, place)
        return JSONResponse({"data": list(islice(views, self.count)), "next_cursor": following, "has_more": following is not None})


def page_of(request: Request, secret: bytes, scope: str) -> Page:
    """`scope` says which list it is: organisation and filters. Raises ApiError 400 for a wrong `limit` or `cursor`."""
    count, cursor = limit_of(request), request.query_params.get("cursor")
    return Page(count, None if cursor is None else cursors.open_(secret, scope, cursor), scope, secret)
