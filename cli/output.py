"""Where words go: results to stdout (a table, or one JSON document with --json), everything else to stderr."""

import json
import sys
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress


Row = Mapping[str, Any]
Columns = Mapping[str, str | Callable[[Row], object]]  # what each is called → the field that it shows, or what makes it


def printable(value: object) -> str:
    """`value` as text that can't steer a terminal: control and bidirectional format characters show as escapes, line breaks as ⏎."""
    if value is None:
        return ""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    if text.isascii() and text.isprintable():
        return text
    return "".join("⏎" if c == "\n" else c if unicodedata.category(c) not in ("Cc", "Cf", "Cs") else f"\\u{ord(c):04x}" for c in text)


class Output:
    """The command's voice. `json_mode` is --json."""

    def __init__(self, json_mode: bool) -> None:
        self.json_mode = json_mode

    def note(self, message: str) -> None:
        """A line for people, on stderr."""
        print(printable(message), file=sys.stderr, flush=True)

    def hint(self, message: str) -> None:
        """A note that a machine has no use for."""
        if not self.json_mode:
            self.note(message)

    def document(self, data: Any) -> None:
        """The result for machines: one JSON document on stdout, keys in a stable order."""
        print(json.dumps(data, ensure_ascii=False), flush=True)

    def error(self, code: str, message: str, details: Sequence[dict[str, str]] = ()) -> None:
        """A failure's one line, on stderr; with --json as an object like the API's."""
        if self.json_mode:
            print(json.dumps({"error": {"code": code, "message": message, "details": list(details)}}, ensure_ascii=False), file=sys.stderr)
        else:
            print(f"waybill: {printable(message)}", file=sys.stderr)

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[object]], empty: str = "Nothing here.") -> None:
        """A table for people. Numbers are on the right; cells never wrap in the middle of an id."""
        from rich import box
        from rich.table import Table
        from rich.text import Text

        kept = [list(row) for row in rows]
        if not kept:
            self.note(empty)
            return
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        for index, column in enumerate(columns):
            right = all(isinstance(row[index], int | float) or row[index] is None for row in kept)
            table.add_column(column, justify="right" if right else "left", overflow="fold")
        for row in kept:
            table.add_row(*(Text(f"{cell:,}" if isinstance(cell, int) and not isinstance(cell, bool) else printable(cell)) for cell in row))
        self.console(stderr=False).print(table)

    def fields(self, pairs: Iterable[tuple[str, object]]) -> None:
        """One thing's fields, a line each."""
        shown = [(name, printable(value)) for name, value in pairs if value not in (None, "", [], {})]
        width = max((len(name) for name, _ in shown), default=0)
        for name, value in shown:
            print(f"{name.ljust(width)}  {value}")

    def listed(self, found: Sequence[Row], columns: Columns, empty: str) -> None:
        """A list: the rows as they came with --json, else a table."""
        if self.json_mode:
            self.document({"data": list(found)})
        else:
            rows = [[row.get(of) if isinstance(of, str) else of(row) for of in columns.values()] for row in found]
            self.table(list(columns), rows, empty)

    def one(self, thing: Row, fields: Callable[[Row], Iterable[tuple[str, object]]]) -> None:
        """One thing: as it came with --json, else its fields."""
        if self.json_mode:
            self.document(thing)
        else:
            self.fields(fields(thing))

    def done(self, outcome: Any, message: str) -> None:
        """What was done: for machines, or in a line for people."""
        if self.json_mode:
            self.document(outcome)
        else:
            self.note(message)

    def console(self, *, stderr: bool) -> "Console":
        from rich.console import Console

        stream = sys.stderr if stderr else sys.stdout
        return Console(file=stream, width=None if stream.isatty() else 240, highlight=False)

    def progress(self, *columns: Any) -> "AbstractContextManager[Progress | None]":
        """A progress bar on stderr; None with --json or where stderr is no terminal (a log should not fill with bars)."""
        if self.json_mode or not sys.stderr.isatty():
            return nullcontext()
        from rich.progress import Progress

        return Progress(*columns, console=self.console(stderr=True), transient=False)
