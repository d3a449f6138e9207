"""Waiting for an export: its server-sent events, and polling where they don't come."""

import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import httpx

from cli.api import refusal
from cli.core.sse import events
from cli.core.states import has_ended, line_of, merged
from cli.errors import CliError
from cli.output import Output
from shared.retry_after import retry_after_seconds

if TYPE_CHECKING:
    from cli.api import Api

SILENCE_SECONDS = 45.0
POLL_SECONDS = 1.0
STREAM_TRIES = 3
NO_STREAM = frozenset({404, 405, 406, 501, 502, 503, 504, 429})


def path_of(export_id: str) -> str:
    return f"/v1/exports/{quote(export_id, safe='')}"


def watch(api: "Api", export_id: str) -> Iterator[dict[str, Any]]:
    """The export as it goes on; the last one yielded has ended. Raises CliError where it can't be read."""
    export = api.json("GET", path_of(export_id))
    yield export
    for _ in range(STREAM_TRIES):
        if has_ended(export):
            return
        streamed = False
        for news in _stream(api, export_id):
            streamed = True
            export = merged(export, news)
            if has_ended(export):
                break
            yield export
        # What an event says in short, the export says in full.
        export = api.json("GET", path_of(export_id))
        yield export
        if not streamed:
            break
    yield from _poll(api, export_id, export)


def _stream(api: "Api", export_id: str) -> Iterator[Any]:
    """What the events say, decoded; ends when the stream does, breaks or isn't offered."""
    try:
        with api.stream(
            path_of(export_id) + "/events", headers={"Accept": "text/event-stream"}, read_timeout_seconds=SILENCE_SECONDS
        ) as answer:
            if answer.status_code in NO_STREAM or not answer.headers.get("content-type", "").startswith("text/event-stream"):
                return
            if answer.status_code >= 400:
                raise refusal(answer)
            for event in events(answer.iter_lines()):
                try:
                    yield json.loads(event.data)
                except ValueError:
                    continue
    except httpx.HTTPError:
        return


def _poll(api: "Api", export_id: str, export: dict[str, Any]) -> Iterator[dict[str, Any]]:
    wait = POLL_SECONDS
    while not has_ended(export):
        time.sleep(wait)
        answer = api.call("GET", path_of(export_id))
        export = answer.json()
        wait = min(retry_after_seconds(answer.headers.get("retry-after"), datetime.now(UTC)) or POLL_SECONDS, 60.0)
        yield export


def follow(api: "Api", out: Output, export_id: str) -> dict[str, Any]:
    """Watches with a bar (a line a change of state where nobody looks) until the export has ended; the export."""
    return draw(out, watch(api, export_id))


def draw(out: Output, states: Iterator[dict[str, Any]], sleep_line: Callable[[str], None] | None = None) -> dict[str, Any]:
    from cli.output import printable

    columns: list[Any] = []
    if not out.json_mode:
        from rich.markup import escape
        from rich.progress import BarColumn, SpinnerColumn, TextColumn, TimeElapsedColumn

        columns = [SpinnerColumn(), BarColumn(), TextColumn("{task.description}"), TimeElapsedColumn()]
    export: dict[str, Any] = {}
    with out.progress(*columns) as bar:
        task = bar.add_task("", total=100) if bar else None
        last = ""
        for export in states:
            line = printable(line_of(export))
            if bar and task is not None:
                done = 100 if export.get("status") == "completed" else (export.get("progress") or {}).get("percent") or 0
                bar.update(task, completed=done, description=escape(line))
            elif not out.json_mode and export.get("status") != last:
                out.note(f"{export.get('id')} {line}")
            last = str(export.get("status"))
    if not has_ended(export):
        raise CliError("The export's end didn't come.", "unexpected_answer")
    return export
