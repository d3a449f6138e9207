"""Server-sent events out of lines (WHATWG HTML, "Interpreting an event stream")."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Event:
    name: str
    data: str


def events(lines: Iterable[str]) -> Iterator[Event]:
    """The events in `lines` (without their ends). One that the stream breaks off is dropped, comments are skipped."""
    name = "message"
    data: list[str] = []
    for line in lines:
        if not line:
            if data:
                yield Event(name, "\n".join(data))
            name, data = "message", []
            continue
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "data":
            data.append(value)
        elif field == "event":
            name = value
