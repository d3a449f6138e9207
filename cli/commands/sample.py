"""`waybill sample`: realistic records of every type."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from cli.errors import UsageError
from cli.frame import Run, command


def sample(
    run: Run,
    conversations: Annotated[int, typer.Option("--conversations", "-n", min=0, help="How many conversations; about 12 messages each.")],
    seed: Annotated[int, typer.Option("--seed", help="The same seed, number and range: the same bytes.")] = 1,
    org: Annotated[str | None, typer.Option("--org", metavar="ORG", help="Puts this org_id into every record (Kafka needs it).")] = None,
    out: Annotated[str, typer.Option("--out", metavar="FILE", help="Where to; - is stdout, a name that ends in .gz is compressed.")] = "-",
    from_: Annotated[str, typer.Option("--from", metavar="DATE", help="First day of the conversations (UTC).")] = "2026-01-01",
    to: Annotated[str, typer.Option("--to", metavar="DATE", help="The day after the last.")] = "2026-07-01",
) -> None:
    """Writes realistic records of all fifteen types as NDJSON."""
    from cli.sample.writing import Progressed, write

    first, end = _day(from_, "--from"), _day(to, "--to")
    if end <= first:
        raise UsageError("--to: must be after --from.")
    if run.out.json_mode and out == "-":
        raise UsageError("--json: the records go to stdout; give --out FILE.")
    with Progressed(run.out, conversations, quiet=out == "-" and sys.stdout.isatty()) as progress:
        written = write(out if out == "-" else Path(out), conversations, seed, org, first, end, progress.on_conversations)
    if run.out.json_mode:
        run.out.document({"file": out, **written})
    else:
        run.out.note(f"{written['records']:,} records, {written['messages']:,} of them messages, {written['bytes'] / 1e6:,.1f} MB")


def _day(text: str, flag: str) -> int:
    """Midnight UTC of a date, in milliseconds since 1970."""
    from datetime import UTC, datetime

    try:
        day = datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        raise UsageError(f"{flag}: '{text}' is not a date (YYYY-MM-DD).") from None
    if not 1980 <= day.year <= 2100:
        raise UsageError(f"{flag}: a year from 1980 to 2100 is needed.")
    return int(day.timestamp()) * 1000


def register(app: typer.Typer) -> None:
    command(app, "sample", "waybill sample --conversations 1000 --seed 7 --out sample.ndjson")(sample)
