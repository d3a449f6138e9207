"""`waybill dlq`: dead letters."""

from typing import Annotated

import typer

from cli.errors import UsageError
from cli.frame import Run, command, group

app = group("Dead letters: what couldn't be handled, why, and sending it again (needs WAYBILL_KAFKA).")
Topic = Annotated[str, typer.Argument(metavar="TOPIC", help="A dead-letter topic, such as records-dlq.")]


@command(app, "list", "waybill dlq list")
def list_(run: Run, topic: Annotated[str | None, typer.Argument(metavar="[TOPIC]", help="Only this topic, by partition.")] = None) -> None:
    """Shows how many dead letters each topic holds, and how many still wait to be sent again."""
    import asyncio

    from cli.dlq.reading import Partition, consumer_of, dead_letter_topics, partitions_of
    from cli.kafka import brokers_of

    brokers = brokers_of(run.settings)

    async def look() -> list[tuple[str, list[Partition]]]:
        async with consumer_of(brokers) as consumer:
            names = [topic] if topic else await dead_letter_topics(consumer)
            return [(name, await partitions_of(brokers, consumer, name)) for name in names]

    found = asyncio.run(look())
    rows = [
        {"topic": name, "depth": sum(p.depth for p in parts), "waiting": sum(p.waiting for p in parts),
         "partitions": [{"partition": p.place.partition, "start": p.start, "end": p.end, "waiting": p.waiting} for p in parts]}
        for name, parts in found
    ]  # fmt: skip
    if run.out.json_mode:
        run.out.document({"data": rows})
    elif topic:
        run.out.table(
            ["partition", "first offset", "end", "waiting"], [[p.place.partition, p.start, p.end, p.waiting] for p in found[0][1]]
        )
    else:
        run.out.table(
            ["topic", "letters", "waiting"], [[row["topic"], row["depth"], row["waiting"]] for row in rows], "No dead-letter topic."
        )


@command(app, "show", "waybill dlq show records-dlq --limit 5")
def show(
    run: Run,
    topic: Topic,
    limit: Annotated[int, typer.Option("--limit", min=1, help="How many, the newest of each partition.")] = 20,
    partition: Annotated[int | None, typer.Option("--partition", min=0, help="Only this partition.")] = None,
    offset: Annotated[int | None, typer.Option("--offset", min=0, help="From this offset on (with --partition).")] = None,
) -> None:
    """Shows dead letters: why they lie here, where they came from, and their bytes as text or hex."""
    import asyncio
    from contextlib import aclosing

    from cli.core.letters import Letter
    from cli.dlq.reading import consumer_of, letters, partitions_of
    from cli.kafka import brokers_of

    if offset is not None and partition is None:
        raise UsageError("--offset: an offset counts within a partition; give --partition too.")
    brokers = brokers_of(run.settings)

    async def look() -> list[Letter]:
        async with consumer_of(brokers) as consumer:
            found: list[Letter] = []
            parts = [p for p in await partitions_of(brokers, consumer, topic) if partition in (None, p.place.partition)]
            if partition is not None and not parts:
                raise UsageError(f"--partition: {topic} has no partition {partition}.")
            for part in parts:
                first = offset if offset is not None else part.end - limit
                async with aclosing(letters(brokers, part, first)) as there:
                    of_part: list[Letter] = []
                    while len(of_part) < limit and (letter := await anext(there, None)) is not None:
                        of_part.append(letter)
                found += of_part
            return found

    found = asyncio.run(look())
    found = found[:limit] if offset is not None else sorted(found, key=lambda each: each.timestamp_ms)[-limit:]
    if run.out.json_mode:
        run.out.document({"data": [letter.document() for letter in found]})
        return
    for letter in found:
        seen = letter.document(bytes_max=2000)
        origin = f"{seen['original_topic']} / {seen['original_partition']} / {seen['original_offset']}"
        run.out.fields([("at", f"{topic} / {letter.partition} / {letter.offset}"), ("from", origin), ("error", seen["error_code"]),
                        ("field", seen["error_field"]), ("message", seen["error_message"]), ("key", seen["key"]),
                        ("headers", "; ".join(f"{name}={value}" for name, value in seen["headers"])),
                        ("value", seen["value"])])  # fmt: skip
        print()
    if not found:
        run.out.note("No dead letter here.")


@command(app, "replay", "waybill dlq replay records-dlq --error-code unknown_organisation --dry-run")
def replay(
    run: Run,
    topic: Topic,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="At most so many.")] = None,
    offset: Annotated[
        list[str] | None, typer.Option("--offset", metavar="PARTITION:OFFSET", help="Only this one; may be repeated.")
    ] = None,
    error_code: Annotated[str | None, typer.Option("--error-code", help="Only those with this error code.")] = None,
    again: Annotated[bool, typer.Option("--again", help="Also those that were sent again before.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Counts, sends nothing.")] = False,
) -> None:
    """Sends dead letters again to the topic they came from, each once: a second replay sends only what is new."""
    import asyncio

    from cli.dlq.replaying import Choice
    from cli.dlq.replaying import replay as send_again
    from cli.kafka import brokers_of

    choice = Choice(limit, frozenset(_place(each) for each in offset or []), error_code, again)
    brokers = brokers_of(run.settings)
    columns: list[object] = []
    if not run.out.json_mode:
        from rich.progress import MofNCompleteColumn, SpinnerColumn, TextColumn

        columns = [SpinnerColumn(), TextColumn("letters"), MofNCompleteColumn()]
    with run.out.progress(*columns) as bar:
        task = bar.add_task("replay", total=limit) if bar else None

        def on_sent(count: int) -> None:
            if bar and task is not None:
                bar.advance(task, count)

        done = asyncio.run(send_again(brokers, topic, choice, dry_run=dry_run, on_sent=on_sent))
    if run.out.json_mode:
        run.out.document(
            {
                "topic": topic,
                "dry_run": dry_run,
                "sent": done.chosen,
                "skipped": done.skipped,
                "waiting": done.left,
                "by_target": done.by_target,
            }
        )
        return
    word = "would be sent" if dry_run else "sent"
    where = ", ".join(f"{count:,} to {name}" for name, count in sorted(done.by_target.items()))
    print(f"{done.chosen:,} {word}{f' ({where})' if where else ''}; {done.skipped:,} were sent before; {done.left:,} wait.")


@command(app, "replays", "waybill dlq replays")
def replays(run: Run) -> None:
    """Shows who sent which dead letters again, and when, as the audit trail (topic audit-entries) has it."""
    import asyncio
    import json
    from dataclasses import asdict

    from cli.dlq.audit import replays as noted
    from cli.kafka import brokers_of

    found = asyncio.run(noted(brokers_of(run.settings)))
    if run.out.json_mode:
        run.out.document({"data": [asdict(each) | {"details": json.loads(each.details)} for each in found]})
        return
    run.out.table(
        ["at", "who", "what", "topic", "details"], [[e.at, e.actor, e.action, e.subject, e.details] for e in found], "No replay is noted."
    )


def _place(text: str) -> tuple[int, int]:
    partition, colon, offset = text.partition(":")
    if not colon or not partition.isdecimal() or not offset.isdecimal():
        raise UsageError(f"--offset: '{text}' is not PARTITION:OFFSET, such as 0:17.")
    return int(partition), int(offset)
