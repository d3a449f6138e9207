"""The parameters of a query that a list is filtered by, read one by one: all that is wrong is named at once."""

import re
from collections.abc import Iterable
from datetime import datetime

from fastapi import Request

from shared import ids
from shared.datasets.instants import resolve_instant
from shared.errors import Detail, invalid_request
from shared.http import wrong_parameters
from shared.paging import PAGED


class Parameters:
    """Beside those of a page. What is wrong gathers in `wrong`, and `require_right` raises it."""

    def __init__(self, request: Request, single: Iterable[str] = (), repeated: Iterable[str] = ()) -> None:
        """`single` are given once at most, `repeated` as often as one likes."""
        self._query = request.query_params
        self.wrong = wrong_parameters(request, {*single, *PAGED}, set(repeated))

    def one(self, name: str) -> str | None:
        return self._query.get(name)

    def all(self, name: str) -> list[str]:
        return self._query.getlist(name)

    def some_of(self, name: str, values: Iterable[str]) -> tuple[str, ...]:
        """Some of `values`, in order."""
        known, given = [str(value) for value in values], tuple(sorted(set(self.all(name))))
        self.wrong += [Detail(name, f"'{each[:80]}' is not a {name}; there are {', '.join(known)}") for each in given if each not in known]
        return given

    def id(self, name: str) -> str | None:
        given = self.one(name)
        if given is not None and not re.fullmatch(ids.PATTERN, given):
            self.wrong.append(Detail(name, "must be an id"))
        return given

    def instant(self, name: str) -> datetime | None:
        """A date (midnight UTC) or a time."""
        text = self.one(name)
        try:
            return None if text is None else resolve_instant(text, "UTC")
        except ValueError as error:
            self.wrong.append(Detail(name, str(error)))
            return None

    def require_right(self) -> None:
        """Raises ApiError 400 that names every wrong one."""
        if self.wrong:
            raise invalid_request(*self.wrong)
