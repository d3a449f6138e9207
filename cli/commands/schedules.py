"""`waybill schedules`: exports that come by themselves, window by window."""

from typing import Annotated, Any

import typer

from cli import things
from cli.commands.exports import Destinations, EmailTo
from cli.frame import Run, command, group
from cli.things import path_of

app = group("Schedules: exports that come by themselves (needs the scope schedules:write).")
PATH = "/v1/schedules"

ScheduleId = Annotated[str, typer.Argument(metavar="ID", help="The schedule's id, sch_01….")]
Every = Annotated[str | None, typer.Option("--every", help="hour, day or week.")]
Cron = Annotated[str | None, typer.Option("--cron", help="Five fields in place of --every: '15 6 * * 1-5'.")]
CatchUp = Annotated[str | None, typer.Option("--catch-up", help="Of missed windows: all or newest.")]


@command(app, "list", "waybill schedules list")
def list_(run: Run) -> None:
    """Lists the schedules with their next windows, and what became of the last ones."""
    from cli.api import api as connect
    from cli.paging import rows
    from cli.schedules.showing import list_schedules

    with connect(run) as api:
        list_schedules(run.out, rows(api, PATH))


@command(
    app,
    "create",
    "waybill schedules create --name 'Messages, hourly' --every hour --dataset messages --format csv --timezone Europe/Brussels --sftp",
)
def create(
    run: Run,
    name: Annotated[str, typer.Option("--name", help="What people call it.")],
    every: Every = None,
    cron: Cron = None,
    timezone: Annotated[str | None, typer.Option("--timezone", help="IANA name; default: the organisation's.")] = None,
    dataset: Annotated[str | None, typer.Option("--dataset", help="leads, conversations, messages, …")] = None,
    formats: Annotated[list[str] | None, typer.Option("--format", help="csv, json, jsonl, …; may be repeated.")] = None,
    filters: Annotated[
        list[str] | None, typer.Option("--filter", help="A JSON object, or key=value (repeated: any of; tags.all=…).")
    ] = None,
    columns: Annotated[list[str] | None, typer.Option("--columns", help="Columns in order, with commas or repeated.")] = None,
    compression: Annotated[str | None, typer.Option("--compression", help="none, gzip or zstd.")] = None,
    labels: Annotated[list[str] | None, typer.Option("--label", metavar="KEY=VALUE", help="May be repeated.")] = None,
    purpose: Annotated[str | None, typer.Option("--purpose", help="Why: the audit trail keeps it.")] = None,
    password: Annotated[
        str | None,
        typer.Option(
            "--password",
            envvar="WAYBILL_FILE_PASSWORD",
            show_envvar=True,
            metavar="PASSWORD",
            help="Encrypts the files, where one is required.",
        ),
    ] = None,
    sftp: Annotated[bool, typer.Option("--sftp/--no-sftp", help="Files appear in the SFTP server's folder of the dataset.")] = False,
    deltas: Annotated[
        bool, typer.Option("--deltas", help="Each run holds what changed since the one before; no windows as ranges.")
    ] = False,
    destinations: Destinations = None,
    email_to: EmailTo = None,
    catch_up: CatchUp = None,
    body: Annotated[
        str | None, typer.Option("--body", metavar="FILE", help="The export's body as JSON (- is stdin); flags go over it.")
    ] = None,
) -> None:
    """Makes a schedule. Its first window is the first that begins from now on."""
    from cli.api import api as connect
    from cli.core.bodies import body_of, destinations_of, filter_of, labels_of, split_list
    from cli.exports.showing import read_body
    from cli.schedules.showing import frequency_of, show_schedule

    flags: dict[str, Any] = {
        "dataset": dataset, "filter": filter_of(filters or []), "columns": split_list(columns or []), "compression": compression,
        "labels": labels_of(labels or []), "purpose": purpose, "password": password, "since": "previous" if deltas else None,
    }  # fmt: skip
    asked: dict[str, Any] = {
        "name": name, "export": body_of(read_body(body), flags, split_list(formats or [])), "frequency": frequency_of(every), "cron": cron,
        "timezone": timezone, "catch_up": catch_up, "destinations": destinations_of(destinations or [], email_to or []) or None,
    }  # fmt: skip
    given = {field: value for field, value in asked.items() if value is not None} | ({"sftp": True} if sftp else {})
    with connect(run) as api:
        show_schedule(run.out, api.json("POST", PATH, json=given))


@command(app, "show", "waybill schedules show sch_01JQ…")
def show(run: Run, schedule_id: ScheduleId) -> None:
    """Shows one schedule: its next window, its last run and its backfills."""
    from cli.api import api as connect
    from cli.schedules.showing import show_schedule

    with connect(run) as api:
        show_schedule(run.out, api.json("GET", path_of(PATH, schedule_id)))


@command(app, "update", "waybill schedules update sch_01JQ… --every day --email-to ops@example.com")
def update(
    run: Run,
    schedule_id: ScheduleId,
    name: Annotated[str | None, typer.Option("--name", help="What people call it.")] = None,
    every: Every = None,
    cron: Cron = None,
    timezone: Annotated[str | None, typer.Option("--timezone", help="IANA name.")] = None,
    sftp: Annotated[bool | None, typer.Option("--sftp/--no-sftp", help="Whether files appear in the SFTP server's folder.")] = None,
    destinations: Destinations = None,
    email_to: EmailTo = None,
    catch_up: CatchUp = None,
    body: Annotated[str | None, typer.Option("--body", metavar="FILE", help="The whole export as JSON (- is stdin), in place of the one before.")] = None,
) -> None:  # fmt: skip
    """Changes fields of a schedule; the others stay. Destinations named here take the place of all that were. With another timing the next window begins where the last one ended."""
    from cli.api import api as connect
    from cli.core.bodies import destinations_of
    from cli.errors import UsageError
    from cli.exports.showing import read_body
    from cli.schedules.showing import frequency_of, show_schedule

    asked: dict[str, Any] = {
        "name": name, "frequency": frequency_of(every), "cron": cron, "timezone": timezone, "sftp": sftp, "catch_up": catch_up,
        "destinations": destinations_of(destinations or [], email_to or []) or None, "export": read_body(body) if body else None,
    }  # fmt: skip
    changes = {field: value for field, value in asked.items() if value is not None}
    if not changes:
        raise UsageError(
            "Say what to change: --name, --every, --cron, --timezone, --sftp, --destination, --email-to, --catch-up or --body."
        )
    with connect(run) as api:
        show_schedule(run.out, api.json("PATCH", path_of(PATH, schedule_id), json=changes))


@command(app, "pause", "waybill schedules pause sch_01JQ…")
def pause(run: Run, schedule_id: ScheduleId) -> None:
    """Pauses a schedule: no window runs until it is resumed."""
    from cli.api import api as connect
    from cli.schedules.showing import show_schedule

    with connect(run) as api:
        show_schedule(run.out, api.json("POST", f"{path_of(PATH, schedule_id)}/pause"))


@command(app, "resume", "waybill schedules resume sch_01JQ… --catch-up newest")
def resume(
    run: Run,
    schedule_id: ScheduleId,
    catch_up: Annotated[
        str | None, typer.Option("--catch-up", help="Of the windows of the pause: all or newest. Default: as the schedule says.")
    ] = None,
) -> None:
    """Resumes a schedule. The windows of the pause run too, oldest first, unless said otherwise."""
    from cli.api import api as connect
    from cli.schedules.showing import show_schedule

    with connect(run) as api:
        show_schedule(
            run.out, api.json("POST", f"{path_of(PATH, schedule_id)}/resume", json={} if catch_up is None else {"catch_up": catch_up})
        )


@command(app, "run", "waybill schedules run sch_01JQ…")
def run_now(run: Run, schedule_id: ScheduleId) -> None:
    """Runs the newest whole window now, whether it has run or not."""
    from cli.api import api as connect
    from cli.schedules.showing import show_run

    with connect(run) as api:
        show_run(run.out, api.json("POST", f"{path_of(PATH, schedule_id)}/run"))


@command(app, "runs", "waybill schedules runs sch_01JQ… --status failed")
def runs(
    run: Run,
    schedule_id: ScheduleId,
    status: Annotated[
        list[str] | None, typer.Option("--status", help="waiting, running, completed, failed, cancelled or skipped; may be repeated.")
    ] = None,
    all_: Annotated[bool, typer.Option("--all", help="Follows the pages to the end.")] = False,
) -> None:
    """Lists what became of each window, newest first."""
    from cli.api import api as connect
    from cli.paging import rows
    from cli.schedules.showing import list_runs

    asked = [("status", each) for each in status or []]
    with connect(run) as api:
        list_runs(run.out, rows(api, f"{path_of(PATH, schedule_id)}/runs", asked, to_the_end=all_))


@command(app, "backfill", "waybill schedules backfill sch_01JQ… --from 2026-03-01 --to 2026-03-08")
def backfill(
    run: Run,
    schedule_id: ScheduleId,
    from_: Annotated[str, typer.Option("--from", metavar="TIME", help="Windows that begin here or later.")],
    to: Annotated[str, typer.Option("--to", metavar="TIME", help="Windows that end here or before.")],
    again: Annotated[bool, typer.Option("--again", help="Also windows that have run.")] = False,
) -> None:
    """Runs the windows of a range that haven't run, oldest first, one at a time."""
    from cli.api import api as connect

    with connect(run) as api:
        answer = api.json(
            "POST", f"{path_of(PATH, schedule_id)}/backfill", json={"from": from_, "to": to} | ({"again": True} if again else {})
        )
    left_out = f", {answer['already_run']} had run already" if answer.get("already_run") else ""
    run.out.done(answer, f"{answer.get('windows')} windows are run{left_out}; `waybill schedules show {schedule_id}` says how far it is.")


@command(app, "delete", "waybill schedules delete sch_01JQ…")
def delete(run: Run, schedule_id: ScheduleId) -> None:
    """Deletes a schedule with its runs. Its exports stay."""
    things.delete(run, PATH, schedule_id)
