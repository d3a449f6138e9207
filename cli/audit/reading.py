"""Where a chain's lines are from: the API, or a file that was exported."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from cli.api import refusal
from cli.errors import CliError, UsageError
from cli.paging import pages

if TYPE_CHECKING:
    from cli.api import Api

ORGANISATIONS, OPERATORS = "/v1/audit", "/v1/operator/audit"


def lines_of(api: "Api", root: str, after: int) -> Iterator[str]:
    """Every entry behind `after`, a line each. Raises CliError where they end in the middle."""
    try:
        with api.stream(f"{root}/export?after={after}") as answer:
            if answer.status_code >= 400:
                raise refusal(answer)
            yield from (line for line in answer.iter_lines() if line)
    except httpx.HTTPError as error:
        raise CliError(f"The connection broke before the trail ended ({str(error) or type(error).__name__}).", "interrupted") from None


def checkpoints_of(api: "Api", root: str) -> list[dict[str, Any]]:
    """Oldest first."""
    return [each for page in pages(api, f"{root}/checkpoints", [("limit", "500")]) for each in page["data"]][::-1]


def read_file(path: Path) -> Iterator[Any]:
    """What each line says; None where it is no JSON. Raises UsageError where it can't be read."""
    try:
        with path.open("r", encoding="utf-8", errors="replace") as source:
            for line in source:
                if line.strip():
                    yield decoded(line)
    except OSError as error:
        raise UsageError(f"FILE: {path} can't be read: {error.strerror}.") from None


def decoded(line: str) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None


def is_checkpoint(each: Any) -> bool:
    return isinstance(each, dict) and "signature" in each
