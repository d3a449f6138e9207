"""Records over `POST /v1/records`: bodies of some MiB, refused lines put back into their place in the files."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from cli.core.places import Block, Refused, place_of
from cli.errors import ApiRefusal, CliError, UsageError
from cli.records.tally import Tally

if TYPE_CHECKING:
    from cli.api import Api

ATOMIC_BYTES_MAX = 64 * 1024 * 1024


def send(api: "Api", blocks: Iterator[Block | Refused], tally: Tally, on_sent: Callable[[Block], None]) -> None:
    """Sends every block as a body of its own. What was accepted before an error stays: the tally says how much."""
    for block in blocks:
        if isinstance(block, Refused):
            tally.refuse(block)
            continue
        try:
            _post(api, [block], tally, atomic=False)
        except CliError as error:
            done = tally.accepted + tally.stale
            where = f"{block.file}, line {block.first_line}"
            raise CliError(f"{error} (broke off at {where}; {done:,} records before it are in)", error.code, error.details) from None
        on_sent(block)


def send_atomic(api: "Api", blocks: Iterator[Block | Refused], tally: Tally, on_sent: Callable[[Block], None]) -> None:
    """Sends everything as one body, all or nothing. Raises UsageError where that is more than a body may hold."""
    kept: list[Block] = []
    size = 0
    for block in blocks:
        if isinstance(block, Refused):
            tally.refuse(block)
            return
        size += len(block.data)
        if size > ATOMIC_BYTES_MAX:
            raise UsageError(f"--atomic: the records are more than a body may hold ({ATOMIC_BYTES_MAX} bytes).")
        kept.append(block)
    if not kept:
        return
    try:
        _post(api, kept, tally, atomic=True)
    except ApiRefusal as error:
        raise _at_its_place(error, kept) from None
    for block in kept:
        on_sent(block)


def _post(api: "Api", body: list[Block], tally: Tally, *, atomic: bool) -> None:
    # Records are versioned or whole: the same body again changes nothing, so a refusal for now or a broken connection may be repeated.
    params = {"atomic": "true"} if atomic else {}
    data = body[0].data if len(body) == 1 else b"".join(block.data for block in body)
    answer = api.json("POST", "/v1/records", params=params, content=data, headers={"Content-Type": "application/x-ndjson"}, idempotent=True)
    try:
        refused = answer.get("refused") or []
        tally.accepted += int(answer["accepted"])
        tally.stale += int(answer.get("stale", 0))
        tally.unlisted += int(answer.get("refused_count", len(refused))) - len(refused)
        for each in refused:
            file, line = place_of(body, int(each["line"]))
            tally.refuse(Refused(file, line, str(each.get("code", "")), str(each.get("field") or ""), str(each.get("message", ""))))
    except (KeyError, TypeError, ValueError, AttributeError):
        raise CliError("The answer to POST /v1/records can't be read; is WAYBILL_URL right?", "unexpected_answer") from None


def _at_its_place(error: ApiRefusal, body: list[Block]) -> ApiRefusal:
    """An error whose fields begin with a line of the body (`lines.7.data.email`), told with the files' own lines."""
    details, words = [], []
    for detail in error.details:
        first, _, rest = detail["field"].partition(".")
        number, _, inside = rest.partition(".")
        if first != "lines" or not number.isdecimal():
            details.append(detail)
            continue
        file, line = place_of(body, int(number))
        details.append({"field": inside, "message": detail["message"], "file": file, "line": str(line)})
        words.append(f"{file}, line {line}: {f'{inside}: ' if inside else ''}{detail['message']}")
    if not words:
        return error
    return ApiRefusal(error.status, error.code, f"Nothing was taken. {'; '.join(words)} ({error.code}, {error.status})", details)
