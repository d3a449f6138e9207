"""`waybill diff`: what differs between two exports."""

from typing import Annotated

import typer

from cli.frame import Run, command


def diff(
    run: Run,
    a: Annotated[str, typer.Argument(metavar="A", help="The first export's id.")],
    b: Annotated[str, typer.Argument(metavar="B", help="The second export's id.")],
    counts: Annotated[bool, typer.Option("--counts", help="How many differ and no more.")] = False,
    purpose: Annotated[str | None, typer.Option("--purpose", help="Why: the audit trail keeps it.")] = None,
) -> None:
    """Shows which rows were added, removed and changed from one export to another, field by field.

    With --json a line is a difference: {"op", "key", "before", "after"}; with --counts one object.
    """
    from cli.api import api as connect
    from cli.exports.comparing import differences, tell
    from cli.exports.watching import path_of

    path = f"{path_of(a)}/diff/{path_of(b).rpartition('/')[2]}"
    with connect(run) as api:
        tell(run.out, differences(api, path, purpose), only_counts=counts)


def register(app: typer.Typer) -> None:
    command(app, "diff", "waybill diff exp_01JQ… exp_01JR…")(diff)
