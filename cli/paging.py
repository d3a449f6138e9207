"""Lists that come in cursor pages."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from cli.errors import CliError

if TYPE_CHECKING:
    from cli.api import Api


def rows_of(answer: Any) -> list[dict[str, Any]]:
    """The rows of a list's answer. Raises CliError where it isn't a list of objects."""
    rows = answer.get("data") if isinstance(answer, dict) else answer
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise CliError("The server's list can't be read: `data` is missing.", "unexpected_answer")
    return rows


def rows(api: "Api", path: str, params: list[tuple[str, str]] | None = None, *, to_the_end: bool = True) -> list[dict[str, Any]]:
    """Those of every page, or of the first."""
    found = pages(api, path, params or [])
    return [row for page in (found if to_the_end else [next(found)]) for row in page["data"]]


def pages(api: "Api", path: str, params: list[tuple[str, str]]) -> Iterator[dict[str, Any]]:
    """Every page from the first on, each as the API answered it. A cursor that comes twice ends it with an error, not a loop."""
    seen: set[str] = set()
    cursor: str | None = None
    while True:
        answer = api.json("GET", path, params=[*params, *([("cursor", cursor)] if cursor else [])])
        rows_of(answer)
        yield answer
        cursor = answer.get("next_cursor")
        if not cursor or answer.get("has_more") is False:
            return
        if cursor in seen:
            raise CliError("The server gave the same cursor twice.", "unexpected_answer")
        seen.add(cursor)
