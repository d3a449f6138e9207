"""What people and machines see of a diff. Line by line, so that a long one is shown as it comes."""

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import httpx

from cli.api import refusal
from cli.errors import CliError
from cli.output import Output, printable
from shared import strictjson

if TYPE_CHECKING:
    from cli.api import Api

SIGNS = {"added": "+", "removed": "-", "changed": "~"}
SHOWN_MAX = 120  # characters of a value
SILENT_SECONDS_MAX = 600.0  # while the server finds nothing to tell


def differences(api: "Api", path: str, purpose: str | None) -> Iterator[dict[str, Any]]:
    """Each difference, as it comes. Raises CliError, also where the answer breaks off: then it isn't whole."""
    query = str(httpx.QueryParams({"purpose": purpose})) if purpose else ""
    try:
        with api.stream(f"{path}?{query}" if query else path, read_timeout_seconds=SILENT_SECONDS_MAX) as answer:
            if answer.status_code >= 400:
                answer.read()
                raise refusal(answer)
            for line in _lines(answer):
                yield strictjson.loads(line)
    except httpx.HTTPError as error:
        raise CliError(f"The answer broke off ({str(error) or type(error).__name__}): what was shown is not all.", "interrupted") from None
    except strictjson.JsonProblem:
        raise CliError("The answer is not what a diff is.", "unexpected_answer") from None


def _lines(answer: httpx.Response) -> Iterator[bytes]:
    """By LF alone: texts may hold what else ends a line."""
    held = b""
    for piece in answer.iter_bytes():
        *whole, held = (held + piece).split(b"\n")
        yield from whole
    if held:  # a line has its end, or isn't whole
        raise httpx.RemoteProtocolError("in the middle of a line")


def tell(out: Output, found: Iterator[dict[str, Any]], *, only_counts: bool) -> None:
    counts: Counter[str] = Counter(dict.fromkeys(SIGNS, 0))
    for each in found:
        counts[each["op"]] += 1
        if only_counts:
            continue
        if out.json_mode:
            out.document(each)
        else:
            _show(each)
    if only_counts and out.json_mode:
        out.document(dict(counts))
        return
    said = ", ".join(f"{counts[op]:,} {op}" for op in SIGNS)
    if only_counts:
        print(said)
    elif not out.json_mode:
        out.note(said if counts.total() else "Nothing differs.")


def _show(each: dict[str, Any]) -> None:
    """A row: its sign and key, and below it a line a field."""
    before, after = each["before"] or {}, each["after"] or {}
    print(f"{SIGNS[each['op']]} {printable(each['key'])}")
    names = list(dict.fromkeys([*before, *after]))
    width = max((len(name) for name in names), default=0)
    for name in names:
        values = [_value(side[name]) for side in (before, after) if name in side]
        if values != ["null"]:
            print(f"    {printable(name).ljust(width)}  {' → '.join(values)}")


def _value(value: Any) -> str:
    text = "null" if value is None else printable(value)
    return text if len(text) <= SHOWN_MAX else f"{text[: SHOWN_MAX - 1]}…"
