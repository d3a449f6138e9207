"""What a list of leads is asked for, and the page that it is answered with."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from services.ingest.core.instants import instant
from services.ingest.core.leads import SOURCES, STATUSES
from shared.datasets.instants import resolve_instant
from shared.errors import Detail, invalid_request, unprocessable

LIMIT, LIMIT_MAX, PAGE_MAX = 25, 100, 10**9
SORTS = ("createdAt", "updatedAt", "score")
ORDERS = ("asc", "desc")
PARAMETERS = frozenset({"page", "limit", "status", "source", "sortBy", "sortOrder", "createdAfter", "createdBefore"})
_WHOLE = re.compile("[0-9]{1,10}")
_DATE = re.compile("[0-9]{4}-[0-9]{2}-[0-9]{2}")


@dataclass(frozen=True)
class Page:
    number: int
    limit: int

    @property
    def offset(self) -> int:
        return (self.number - 1) * self.limit


@dataclass(frozen=True)
class Filter:
    """The leads that are wanted; `after` and `before` are exclusive, of the creation."""

    status: str | None = None
    source: str | None = None
    after: datetime | None = None
    before: datetime | None = None

    @property
    def is_all(self) -> bool:
        return self == Filter()


@dataclass(frozen=True)
class Wanted:
    page: Page
    filter: Filter
    sort: str
    descending: bool


def wanted(query: Mapping[str, str]) -> Wanted:
    """Raises ApiError 400 naming every parameter that is wrong, 422 where the two times leave nothing between them."""
    wrong: list[Detail] = []
    page = page_of(query, wrong)
    status, source = (_one_of(query, name, values, wrong) for name, values in (("status", STATUSES), ("source", SOURCES)))
    sort = _one_of(query, "sortBy", SORTS, wrong) or SORTS[0]
    order = _one_of(query, "sortOrder", ORDERS, wrong) or "desc"
    after, before = (_instant(query, name, wrong) for name in ("createdAfter", "createdBefore"))
    if wrong:
        raise invalid_request(*wrong)
    if after and before and before <= after:
        raise unprocessable(Detail("createdBefore", "must be later than createdAfter"))
    return Wanted(page, Filter(status, source, after, before), sort, order == "desc")


def page_of(query: Mapping[str, str], wrong: list[Detail]) -> Page:
    return Page(_number(query, "page", 1, PAGE_MAX, wrong), _number(query, "limit", LIMIT, LIMIT_MAX, wrong))


def status_of(query: Mapping[str, str], wrong: list[Detail]) -> str | None:
    return _one_of(query, "status", STATUSES, wrong)


def pagination(page: Page, shown: int, more: bool, total: int) -> dict[str, Any]:
    """`total` as it was counted, which may have been a moment ago: it never says less than the page itself shows."""
    total = max(total, page.offset + shown + more) if shown else total
    pages = -(-total // page.limit)
    return {"page": page.number, "limit": page.limit, "total": total, "totalPages": pages, "hasMore": more}


def _number(query: Mapping[str, str], name: str, default: int, most: int, wrong: list[Detail]) -> int:
    text = query.get(name)
    if text is None:
        return default
    if not _WHOLE.fullmatch(text) or not 1 <= int(text) <= most:
        wrong.append(Detail(name, f"must be a whole number between 1 and {most}"))
        return default
    return int(text)


def _one_of(query: Mapping[str, str], name: str, values: Sequence[str], wrong: list[Detail]) -> str | None:
    text = query.get(name)
    if text is not None and text not in values:
        wrong.append(Detail(name, f"must be one of {', '.join(values)}"))
        return None
    return text


def _instant(query: Mapping[str, str], name: str, wrong: list[Detail]) -> datetime | None:
    """A date (its midnight in UTC) or a time with an offset."""
    text = query.get(name)
    if text is None:
        return None
    try:
        return resolve_instant(text, "UTC") if _DATE.fullmatch(text) else instant(text)
    except ValueError:
        wrong.append(Detail(name, "must be a date (2026-03-01) or a time with an offset (2026-03-01T09:00:00Z)"))
        return None
