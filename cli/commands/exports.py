"""`waybill exports`: ask for exports, watch them, bring their files home."""

from pathlib import Path
from typing import Annotated, Any

import typer

from cli.errors import CliError, UsageError
from cli.frame import Run, command, group

app = group("Exports: preview, create, approve, reject, hold, release, list, show, watch, download, rerun, cancel.")

ExportId = Annotated[str, typer.Argument(metavar="ID", help="The export's id, exp_01….")]
Folder = Annotated[Path, typer.Option("--out", metavar="DIR", help="Where the files go.")]
Force = Annotated[bool, typer.Option("--force", help="Replaces a file of that name that has other bytes.")]

Dataset = Annotated[str | None, typer.Option("--dataset", help="leads, conversations, messages, …")]
Formats = Annotated[list[str] | None, typer.Option("--format", help="csv, json, jsonl, …; repeated: several files of one scan.")]
From = Annotated[str | None, typer.Option("--from", metavar="TIME", help="First day or instant, inclusive.")]
To = Annotated[str | None, typer.Option("--to", metavar="TIME", help="End, exclusive.")]
Filters = Annotated[list[str] | None, typer.Option("--filter", help="A JSON object, or key=value (repeated: any of; tags.all=…).")]
Columns = Annotated[list[str] | None, typer.Option("--columns", help="Columns in order, with commas or repeated.")]
Timezone = Annotated[str | None, typer.Option("--timezone", help="IANA name; default: the organisation's.")]
Granularity = Annotated[str | None, typer.Option("--granularity", help="Of analytics: day, week or month.")]
Redaction = Annotated[str | None, typer.Option("--redaction", metavar="PROFILE", help="A redaction profile by its name.")]
Purpose = Annotated[str | None, typer.Option("--purpose", help="Why: the audit trail keeps it, and organisations may require it.")]
Destinations = Annotated[
    list[str] | None, typer.Option("--destination", metavar="TYPE:ID", help="Where files are brought: s3:dst_01…; may be repeated.")
]
EmailTo = Annotated[
    list[str] | None, typer.Option("--email-to", metavar="ADDRESS", help="Files are sent there by e-mail; may be repeated.")
]
Body = Annotated[str | None, typer.Option("--body", metavar="FILE", help="The whole body as JSON (- is stdin); flags go over it.")]


@command(app, "create", "waybill exports create --dataset messages --format csv --from 2026-03-01 --to 2026-04-01 --download .")
def create(
    run: Run,
    dataset: Dataset = None,
    formats: Formats = None,
    from_: From = None,
    to: To = None,
    filters: Filters = None,
    columns: Columns = None,
    timezone: Timezone = None,
    granularity: Granularity = None,
    redaction: Redaction = None,
    compression: Annotated[str | None, typer.Option("--compression", help="none, gzip or zstd.")] = None,
    spreadsheet_safe: Annotated[bool | None, typer.Option("--spreadsheet-safe/--no-spreadsheet-safe", help="Formula guard (csv).")] = None,
    max_rows_per_file: Annotated[int | None, typer.Option("--max-rows-per-file", min=1, help="Splits into numbered files.")] = None,
    expires_in: Annotated[int | None, typer.Option("--expires-in", metavar="SECONDS", min=1, help="How long the files stay.")] = None,
    labels: Annotated[list[str] | None, typer.Option("--label", metavar="KEY=VALUE", help="May be repeated.")] = None,
    since: Annotated[
        str | None, typer.Option("--since", metavar="ID", help="Only what changed since that export, with its filter and columns.")
    ] = None,
    purpose: Purpose = None,
    password: Annotated[
        str | None,
        typer.Option(
            "--password",
            envvar="WAYBILL_FILE_PASSWORD",
            show_envvar=True,
            metavar="PASSWORD",
            help="Encrypts the files, where one is required; a list of processes shows it, the environment variable doesn't get there.",
        ),
    ] = None,
    destinations: Destinations = None,
    email_to: EmailTo = None,
    body: Body = None,
    idempotency_key: Annotated[
        str | None, typer.Option("--idempotency-key", help="The same key and body: the same export. Default: a new one.")
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Waits for the end; exit code 1 where it isn't completed.")] = False,
    download: Annotated[Path | None, typer.Option("--download", metavar="DIR", help="Waits, then downloads into DIR.")] = None,
    force: Force = False,
) -> None:
    """Asks for an export."""
    import uuid

    from cli.api import api as connect
    from cli.core.bodies import body_of, destinations_of, filter_of, labels_of, split_list
    from cli.exports.showing import read_body, run_to_end

    flags: dict[str, Any] = {
        "dataset": dataset, "from": from_, "to": to, "filter": filter_of(filters or []), "columns": split_list(columns or []),
        "timezone": timezone, "granularity": granularity, "redaction": redaction,
        "compression": compression, "spreadsheet_safe": spreadsheet_safe, "max_rows_per_file": max_rows_per_file,
        "expires_in_seconds": expires_in, "labels": labels_of(labels or []), "purpose": purpose, "password": password, "since": since,
        "destinations": destinations_of(destinations or [], email_to or []),
    }  # fmt: skip
    asked = body_of(read_body(body), flags, split_list(formats or []))
    # A key of our own makes the call safe to repeat when the answer is lost.
    key = idempotency_key or f"cli-{uuid.uuid4()}"
    with connect(run) as api:
        export = api.json("POST", "/v1/exports", json=asked, headers={"Idempotency-Key": key}, idempotent=True)
        run_to_end(api, run.out, export, wait=wait, folder=download, force=force)


@command(app, "preview", "waybill exports preview --dataset messages --format csv --from 2026-03-01 --to 2026-04-01")
def preview(
    run: Run,
    dataset: Dataset = None,
    formats: Formats = None,
    from_: From = None,
    to: To = None,
    filters: Filters = None,
    columns: Columns = None,
    timezone: Timezone = None,
    granularity: Granularity = None,
    redaction: Redaction = None,
    compression: Annotated[str | None, typer.Option("--compression", help="none, gzip or zstd: for the size.")] = None,
    max_rows_per_file: Annotated[int | None, typer.Option("--max-rows-per-file", min=1, help="As the export would have it.")] = None,
    purpose: Purpose = None,
    body: Body = None,
    rows: Annotated[int, typer.Option("--rows", min=0, max=50, help="How many rows the table has.")] = 10,
) -> None:
    """Shows an export's first rows, its size and what would break; nothing is made. The audit trail notes who looked."""
    from cli.api import api as connect
    from cli.core.bodies import body_of, filter_of, split_list
    from cli.exports.previewing import show_preview
    from cli.exports.showing import read_body

    flags: dict[str, Any] = {
        "dataset": dataset, "from": from_, "to": to, "filter": filter_of(filters or []), "columns": split_list(columns or []),
        "timezone": timezone, "granularity": granularity, "redaction": redaction, "compression": compression, "max_rows_per_file": max_rows_per_file,
        "purpose": purpose,
    }  # fmt: skip
    with connect(run) as api:
        show_preview(
            run.out, api.json("POST", "/v1/exports/preview", json=body_of(read_body(body), flags, split_list(formats or []))), rows
        )


@command(app, "rerun", "waybill exports rerun exp_01JQ… --download exports/")
def rerun(
    run: Run,
    export_id: ExportId,
    idempotency_key: Annotated[
        str | None, typer.Option("--idempotency-key", help="The same key: the same re-run. Default: a new one.")
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Waits for the end; exit code 1 where it isn't completed.")] = False,
    download: Annotated[Path | None, typer.Option("--download", metavar="DIR", help="Waits, then downloads into DIR.")] = None,
    force: Force = False,
) -> None:
    """Runs an ended export again at its own instant. Its files are byte for byte the same, or it fails."""
    import uuid

    from cli.api import api as connect
    from cli.exports.showing import run_to_end
    from cli.exports.watching import path_of

    key = idempotency_key or f"cli-{uuid.uuid4()}"
    with connect(run) as api:
        export = api.json("POST", f"{path_of(export_id)}/rerun", headers={"Idempotency-Key": key}, idempotent=True)
        run_to_end(api, run.out, export, wait=wait, folder=download, force=force)


@command(app, "approve", "waybill exports approve exp_01JQ…")
def approve(run: Run, export_id: ExportId) -> None:
    """Approves an export that waits for it. It must be another key than the one that asked."""
    from cli.api import api as connect
    from cli.exports.showing import describe
    from cli.exports.watching import path_of

    with connect(run) as api:
        describe(run.out, api.json("POST", f"{path_of(export_id)}/approve"))


@command(app, "reject", 'waybill exports reject exp_01JQ… --reason "March alone will do"')
def reject(
    run: Run,
    export_id: ExportId,
    reason: Annotated[str | None, typer.Option("--reason", help="Why: the export and the audit trail keep it.")] = None,
) -> None:
    """Rejects an export that waits for an approval: it ends as failed."""
    from cli.api import api as connect
    from cli.exports.showing import describe
    from cli.exports.watching import path_of

    with connect(run) as api:
        describe(run.out, api.json("POST", f"{path_of(export_id)}/reject", json={"reason": reason} if reason is not None else {}))


@command(app, "hold", 'waybill exports hold exp_01JQ… --reason "Case 2026-117"')
def hold(
    run: Run, export_id: ExportId, reason: Annotated[str, typer.Option("--reason", help="Why: the export and the audit trail keep it.")]
) -> None:
    """Holds a completed export: it doesn't expire, and can't be deleted, until it is released."""
    from cli.api import api as connect
    from cli.exports.showing import describe
    from cli.exports.watching import path_of

    with connect(run) as api:
        describe(run.out, api.json("PUT", f"{path_of(export_id)}/hold", json={"reason": reason}))


@command(app, "release", "waybill exports release exp_01JQ…")
def release(run: Run, export_id: ExportId) -> None:
    """Releases an export that is held. Where its time is over, it expires within seconds."""
    from cli.api import api as connect
    from cli.exports.showing import describe
    from cli.exports.watching import path_of

    with connect(run) as api:
        describe(run.out, api.json("DELETE", f"{path_of(export_id)}/hold"))


@command(app, "list", "waybill exports list --status completed --dataset messages --all")
def list_(
    run: Run,
    status: Annotated[list[str] | None, typer.Option("--status", help="May be repeated: any of.")] = None,
    dataset: Annotated[list[str] | None, typer.Option("--dataset", help="May be repeated: any of.")] = None,
    label: Annotated[list[str] | None, typer.Option("--label", metavar="KEY=VALUE", help="Carrying this label.")] = None,
    schedule: Annotated[str | None, typer.Option("--schedule", metavar="ID", help="Runs of this schedule, sch_01….")] = None,
    created_after: Annotated[str | None, typer.Option("--created-after", metavar="TIME", help="Asked for after.")] = None,
    created_before: Annotated[str | None, typer.Option("--created-before", metavar="TIME", help="Asked for before.")] = None,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="Rows a page.")] = None,
    cursor: Annotated[str | None, typer.Option("--cursor", help="Goes on where a page ended.")] = None,
    all_: Annotated[bool, typer.Option("--all", help="Follows the pages to the end.")] = False,
) -> None:
    """Lists exports, newest first."""
    from cli.api import api as connect
    from cli.exports.showing import list_exports

    params = (
        [("status", each) for each in status or []]
        + [("dataset", each) for each in dataset or []]
        + [("label", each) for each in label or []]
    )
    single = {"schedule_id": schedule, "created_after": created_after, "created_before": created_before, "limit": limit, "cursor": cursor}
    params += [(name, str(value)) for name, value in single.items() if value is not None]
    with connect(run) as api:
        list_exports(api, run.out, params, follow=all_)


@command(app, "show", "waybill exports show exp_01JQ…")
def show(run: Run, export_id: ExportId) -> None:
    """Shows one export: its state, its files, why it failed."""
    from cli.api import api as connect
    from cli.exports.showing import describe
    from cli.exports.watching import path_of

    with connect(run) as api:
        describe(run.out, api.json("GET", path_of(export_id)))


@command(app, "watch", "waybill exports watch exp_01JQ…")
def watch(run: Run, export_id: ExportId) -> None:
    """Watches an export to its end. Exit code 1 where it isn't completed."""
    from cli.api import api as connect
    from cli.exports.showing import end
    from cli.exports.watching import follow

    with connect(run) as api:
        end(run.out, follow(api, run.out, export_id), [])


@command(app, "download", "waybill exports download exp_01JQ… --out exports/")
def download(run: Run, export_id: ExportId, out: Folder = Path("."), force: Force = False) -> None:
    """Downloads the files of a completed export with its manifest, checks bytes and sha256; one that broke off goes on where it was."""
    from cli.api import api as connect
    from cli.exports.showing import bring, end
    from cli.exports.watching import path_of

    with connect(run) as api:
        export = api.json("GET", path_of(export_id))
        if export.get("status") != "completed":
            raise CliError(
                f"{export_id} is {export.get('status')}: there is nothing to download" + (" yet." if not export.get("error") else ".")
            )
        end(run.out, export, bring(api, run.out, export, out, force=force))


@command(app, "cancel", "waybill exports cancel exp_01JQ…")
def cancel(
    run: Run,
    export_id: ExportId,
    delete: Annotated[bool, typer.Option("--delete", help="Also an ended one: its files go, and it is forgotten.")] = False,
) -> None:
    """Cancels a running export. One that has ended is left alone, unless --delete."""
    from cli.api import api as connect
    from cli.core.states import has_ended
    from cli.exports.watching import path_of

    with connect(run) as api:
        export = api.json("GET", path_of(export_id))
        if has_ended(export) and not delete:
            raise UsageError(f"{export_id} has ended ({export.get('status')}); --delete removes it and its files.")
        answer = api.call("DELETE", path_of(export_id))
    state = "deleted" if answer.status_code == 204 else "cancelling"
    if run.out.json_mode:
        run.out.document({"id": export_id, "state": state})
    else:
        run.out.note(f"{export_id} {'is deleted, its files too' if state == 'deleted' else 'ends cancelled; its parts are removed'}.")
