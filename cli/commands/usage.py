"""`waybill usage`: what an organisation uses of its limits."""

import typer

from cli.frame import Run, command


def usage(run: Run) -> None:
    """Shows exports under way, rows of today and requests, with the organisation's limits."""
    from cli.api import api as connect

    with connect(run) as api:
        said = api.json("GET", "/v1/usage")
    if run.out.json_mode:
        run.out.document(said)
        return

    def of(used: object, limit: object) -> str:
        return f"{used} of {limit}" if limit is not None else f"{used}, no limit"

    exports, rows, requests = said["exports"], said["rows"], said["requests"]
    run.out.fields([
        ("exports under way", of(exports["running"], exports["limit"])),
        ("rows today", f"{of(rows['today'], rows['limit'])}; the next day begins at {rows['resets_at']}"),
        ("requests a second", requests["limit_per_second"] if requests["limit_per_second"] is not None else "no limit"),
    ])  # fmt: skip


def register(app: typer.Typer) -> None:
    command(app, "usage", "waybill usage")(usage)
