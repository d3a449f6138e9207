"""`waybill notifications`: what people should know."""

from typing import Annotated

import typer

from cli.frame import Run, command

KIND = "delivery_failed, destination_paused, schedule_run_failed, …; may be repeated."


def notifications(
    run: Run,
    kinds: Annotated[list[str] | None, typer.Option("--kind", help=KIND)] = None,
    after: Annotated[str | None, typer.Option("--after", metavar="TIME", help="From after this: a date (midnight UTC) or a time.")] = None,
    before: Annotated[str | None, typer.Option("--before", metavar="TIME", help="From before this.")] = None,
    all_: Annotated[bool, typer.Option("--all", help="Follows the pages to the end.")] = False,
) -> None:
    """Lists what failed, what is paused and what waits for somebody, newest first (needs the scope exports:read)."""
    from cli.api import api as connect
    from cli.paging import pages

    asked = [("kind", each) for each in kinds or []]
    asked += [(name, value) for name, value in (("created_after", after), ("created_before", before)) if value is not None]
    with connect(run) as api:
        found = pages(api, "/v1/notifications", asked)
        rows = [row for page in (found if all_ else [next(found)]) for row in page["data"]]
    if run.out.json_mode:
        run.out.document({"data": rows})
        return
    table = [
        [
            r.get("created_at"),
            r.get("kind"),
            r.get("message"),
            ", ".join(f"{a.get('type')} {a.get('status')}" for a in r.get("alerts") or []),
        ]
        for r in rows
    ]
    run.out.table(["at", "kind", "message", "alerts"], table, "Nothing to tell.")


def register(app: typer.Typer) -> None:
    command(app, "notifications", "waybill notifications --kind delivery_failed")(notifications)
