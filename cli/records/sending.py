"""The parts of `records send` that don't depend on the way: progress, the dry run, the closing words."""

import asyncio
from collections.abc import Callable, Iterator

from cli.core.envelopes import Broken, look
from cli.core.places import Block, Refused
from cli.frame import Run
from cli.output import Output
from cli.records.tally import Tally

SHOWN_MAX = 100


class Progressed:
    """A bar over the bytes read (records a second beside it), where a person looks on."""

    def __init__(self, out: Output, total: int | None) -> None:
        self._out, self._total = out, total
        self.sent_bytes = self.records = 0

    def __enter__(self) -> "Progressed":
        columns: list[object] = []
        if not self._out.json_mode:
            from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn

            columns = [BarColumn(), DownloadColumn(), TextColumn("{task.fields[rate]} records/s"), TimeRemainingColumn()]
        self._context = self._out.progress(*columns)
        self._bar = self._context.__enter__()
        self._task = self._bar.add_task("send", total=self._total, rate="–") if self._bar else None
        return self

    def __exit__(self, *error: object) -> None:
        self._context.__exit__(*error)  # type: ignore[arg-type]

    def on_bytes(self, count: int) -> None:
        if self._bar and self._task is not None:
            self._bar.advance(self._task, count)

    def on_sent(self, block: Block) -> None:
        self.sent_bytes += len(block.data)
        self.records += block.lines
        if self._bar and self._task is not None:
            elapsed = self._bar.tasks[0].elapsed or 0
            self._bar.update(self._task, rate=f"{self.records / elapsed:,.0f}" if elapsed else "–")


def check(blocks: Iterator[Block | Refused], tally: Tally, on_sent: Callable[[Block], None]) -> None:
    """The dry run: every line is looked at, nothing leaves this machine. `accepted` counts those whose shape is right."""
    for block in blocks:
        if isinstance(block, Refused):
            tally.refuse(block)
            continue
        for number, line in enumerate(block.data.split(b"\n"), start=block.first_line):
            if line and not line.isspace():
                seen = look(line, None)
                if isinstance(seen, Broken):
                    tally.refuse(Refused(block.file, number, seen.code, seen.field, seen.message))
                else:
                    tally.accepted += 1
        on_sent(block)


def over_kafka(run: Run, org: str | None, blocks: Iterator[Block | Refused], tally: Tally, on_sent: Callable[[Block], None]) -> None:
    from cli.kafka import brokers_of
    from cli.records.kafka import send

    asyncio.run(send(brokers_of(run.settings), org, blocks, tally, on_sent))


def finish(out: Output, via: str, tally: Tally, data_bytes: int, seconds: float) -> None:
    """Says what became of the records: one document, or refused lines on stderr and a closing line."""
    document = tally.document(via, data_bytes, seconds)
    if out.json_mode:
        out.document(document)
        return
    for one in tally.refused[:SHOWN_MAX]:
        where = f"{one.field}: " if one.field else ""
        out.note(f"{one.file}, line {one.line}: {where}{one.message} ({one.code})")
    if tally.refused_count > SHOWN_MAX:
        out.note(f"… and {tally.refused_count - min(len(tally.refused), SHOWN_MAX):,} more refused.")
    counted = {
        "kafka": f"{tally.published:,} published",
        "dry_run": f"{tally.accepted:,} look right (nothing was sent)",
    }.get(via, f"{tally.accepted:,} accepted, {tally.stale:,} stale")
    print(
        f"{counted}, {tally.refused_count:,} refused; {data_bytes / 1e6:,.1f} MB in {seconds:.1f} s "
        f"({document['records_per_second']:,} records/s)"
    )
