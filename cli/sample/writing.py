"""The sample into a file, a gzip file or stdout."""

import gzip
import os
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO, cast

from cli.output import Output
from cli.sample.generate import generate

BUFFER_BYTES = 1024 * 1024


class Progressed:
    """A bar over conversations, where a person looks on and the records go elsewhere."""

    def __init__(self, out: Output, total: int, *, quiet: bool) -> None:
        self._out, self._total, self._quiet = out, total, quiet
        self._bar: Any = None

    def __enter__(self) -> "Progressed":
        self._stack = ExitStack()
        if not self._quiet and not self._out.json_mode:
            from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn

            columns = (TextColumn("conversations"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
            self._bar = self._stack.enter_context(self._out.progress(*columns))
        self._task = self._bar.add_task("sample", total=self._total) if self._bar else None
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def on_conversations(self, count: int) -> None:
        if self._bar:
            self._bar.advance(self._task, count)


def write(
    target: Path | str, conversations: int, seed: int, org: str | None, first: int, end: int, on_conversations: Callable[[int], None]
) -> dict[str, int]:
    """Writes the sample to `target` ("-": stdout); a file is in its place only when it is whole. Counts of what was written."""
    if isinstance(target, str):
        counts = _write(sys.stdout.buffer, conversations, seed, org, first, end, on_conversations)
        sys.stdout.buffer.flush()
        return counts
    partial = target.with_name(f".{target.name}.waybill-part")
    try:
        with partial.open("wb") as raw:
            if target.suffix == ".gz":
                with gzip.GzipFile(filename="", fileobj=raw, mode="wb", compresslevel=3, mtime=0) as packed:
                    counts = _write(cast(BinaryIO, packed), conversations, seed, org, first, end, on_conversations)
            else:
                counts = _write(raw, conversations, seed, org, first, end, on_conversations)
        os.replace(partial, target)
    finally:
        partial.unlink(missing_ok=True)
    return counts


def _write(
    stream: BinaryIO, conversations: int, seed: int, org: str | None, first: int, end: int, on_conversations: Callable[[int], None]
) -> dict[str, int]:
    counts = {"conversations": 0, "messages": 0, "records": 0, "bytes": 0}
    held: list[bytes] = []
    size = 0
    for block in generate(conversations, seed, org, first, end):
        data = block.text.encode()
        held.append(data)
        size += len(data)
        counts["conversations"] += block.conversations
        counts["messages"] += block.messages
        counts["records"] += block.text.count("\n")
        counts["bytes"] += len(data)
        if size >= BUFFER_BYTES:
            stream.write(b"".join(held))
            held, size = [], 0
        on_conversations(block.conversations)
    stream.write(b"".join(held))
    return counts
