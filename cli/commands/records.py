"""`waybill records`: records in."""

import time
from enum import StrEnum
from typing import Annotated

import typer

from cli.errors import FAILED, UsageError
from cli.frame import Run, command, group

app = group("Records: send them in, over HTTP or Kafka.")


class Via(StrEnum):
    http = "http"
    kafka = "kafka"


@command(app, "send", "waybill sample --conversations 100 --seed 1 | waybill records send -")
def send(
    run: Run,
    files: Annotated[list[str], typer.Argument(metavar="FILE…", help="NDJSON, plain or gzip; - is stdin.")],
    via: Annotated[Via, typer.Option("--via", help="The way in.")] = Via.http,
    org: Annotated[
        str | None, typer.Option("--org", metavar="ORG", help="org_id for records without one (Kafka needs it). WAYBILL_ORG.")
    ] = None,
    atomic: Annotated[bool, typer.Option("--atomic", help="All or nothing, in one body of at most 64 MiB (HTTP).")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Sends nothing: checks that every line is a JSON object with type and id.")
    ] = False,
    body_mib: Annotated[int, typer.Option("--body-mib", min=1, max=60, help="Size of a body (HTTP).")] = 4,
) -> None:
    """Sends records, and says by file and line what was refused. Exit code 1 when anything was."""
    from cli.records.reading import blocks, total_bytes
    from cli.records.sending import Progressed, check, finish, over_kafka
    from cli.records.tally import Tally

    if atomic and via is Via.kafka:
        raise UsageError("--atomic: only over HTTP; Kafka takes each record for itself.")
    org = org or run.settings.get("WAYBILL_ORG")
    tally, started = Tally(), time.monotonic()
    with Progressed(run.out, total_bytes(files)) as progress:
        source = blocks(files, body_mib * 1024 * 1024 if via is Via.http else 1024 * 1024, progress.on_bytes)
        if dry_run:
            check(source, tally, progress.on_sent)
        elif via is Via.kafka:
            over_kafka(run, org, source, tally, progress.on_sent)
        else:
            from cli.api import api as connect
            from cli.records import http

            with connect(run) as api:
                (http.send_atomic if atomic else http.send)(api, source, tally, progress.on_sent)
    finish(run.out, "dry_run" if dry_run else via.value, tally, progress.sent_bytes, time.monotonic() - started)
    if tally.refused_count:
        raise typer.Exit(FAILED)
