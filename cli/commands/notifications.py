"""`waybill notifications`: what people should know."""

from typing import Annotated

import typer

from cli.frame import Run, command
from cli.output import Row

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
    from cli.paging import rows

    asked = [("kind", each) for each in kinds or []]
    asked += [(name, value) for name, value in (("created_after", after), ("created_before", before)) if value is not None]
    with connect(run) as api:
        found = rows(api, "/v1/notifications", asked, to_the_end=all_)
    run.out.listed(found, {"at": "created_at", "kind": "kind", "message": "message", "alerts": _alerts}, "Nothing to tell.")


def _alerts(notification: Row) -> str:
    return ", ".join(f"{each.get('type')} {each.get('status')}" for each in notification.get("alerts") or [])


def register(app: typer.Typer) -> None:
    command(app, "notifications", "waybill notifications --kind delivery_failed")(notifications)
