"""What people and machines see of exports."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from cli.core.bodies import json_object
from cli.core.states import failure_of, line_of
from cli.errors import FAILED, CliError, UsageError
from cli.exports.downloading import download, wanted_of
from cli.exports.manifest import save_manifest
from cli.exports.watching import follow
from cli.output import Output
from cli.paging import pages

if TYPE_CHECKING:
    from cli.api import Api


def read_body(name: str | None) -> dict[str, Any]:
    """The body that --body names, {} where none."""
    if name is None:
        return {}
    try:
        text = sys.stdin.read() if name == "-" else Path(name).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--body: {name} can't be read: {getattr(error, 'strerror', None) or error}.") from None
    return json_object(text, "--body")


def announce(out: Output, export: dict[str, Any]) -> None:
    """A new export: its id is all on stdout, so that a script can take it."""
    if out.json_mode:
        out.document(export)
        return
    print(export["id"])
    out.note(f"{line_of(export)}; `waybill exports watch {export['id']}` follows it.")


def list_exports(api: "Api", out: Output, params: list[tuple[str, str]], *, follow: bool) -> None:
    rows: list[dict[str, Any]] = []
    cursor = None
    for page in pages(api, "/v1/exports", params):
        rows += page["data"]
        cursor = page.get("next_cursor")
        if not follow:
            break
    if out.json_mode:
        out.document({"data": rows, "next_cursor": cursor, "has_more": cursor is not None})
        return
    shown = [[e.get("id"), e.get("dataset"), ", ".join(e.get("formats") or []), line_of(e), e.get("created_at")] for e in rows]
    out.table(["id", "dataset", "formats", "state", "created"], shown, "No export.")
    if cursor:
        out.note(f"There are more: --all, or --cursor {cursor}")


def describe(out: Output, export: dict[str, Any]) -> None:
    if out.json_mode:
        out.document(export)
        return
    error = export.get("error") or {}
    shown = [
        ("id", export.get("id")),
        ("dataset", export.get("dataset")),
        ("formats", ", ".join(export.get("formats") or [])),
        ("state", line_of(export)),
    ]
    shown += [
        (name.replace("_", " "), export.get(name)) for name in ("request_id", "created_at", "started_at", "completed_at", "expires_at")
    ]
    shown += [("re-run of", export.get("rerun_of")), ("held", (export.get("hold") or {}).get("reason"))]
    shown += [("error", f"{error.get('message')} ({error.get('code')})" if error else None), ("request", export.get("request"))]
    shown += [("excluded", ", ".join(f"{x.get('rows')} {x.get('reason')}" for x in export.get("excluded") or []))]
    out.fields(shown)
    if files := export.get("files"):
        out.table(["file", "rows", "bytes", "sha256"], [[f.get("name"), f.get("rows"), f.get("bytes"), f.get("sha256")] for f in files])


def bring(api: "Api", out: Output, export: dict[str, Any], folder: Path, *, force: bool) -> list[Path]:
    """Downloads every file of `export` into `folder`, with a bar over all bytes, and its manifest with the keys beside them; where the files are."""
    files = wanted_of(export)
    folder.mkdir(parents=True, exist_ok=True)
    columns: list[Any] = []
    if not out.json_mode:
        from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn, TransferSpeedColumn

        columns = [TextColumn("download"), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn()]
    with out.progress(*columns) as bar:
        task = bar.add_task("download", total=sum(f.bytes for f in files)) if bar else None

        def on_bytes(count: int) -> None:
            if bar and task is not None:
                bar.advance(task, count)

        paths = [download(api, each, folder, on_bytes, force=force) for each in files]
    save_manifest(api, export, folder, force=force)
    return paths


def run_to_end(api: "Api", out: Output, export: Any, *, wait: bool, folder: Path | None, force: bool) -> None:
    """An export that has just been asked for: announced, or followed to its end and brought home where that is wanted."""
    if not isinstance(export, dict) or "id" not in export:
        raise CliError("The answer to the request can't be read; is WAYBILL_URL right?", "unexpected_answer")
    if not wait and folder is None:
        announce(out, export)
        return
    out.note(f"{export['id']} accepted")
    export = follow(api, out, export["id"])
    paths = bring(api, out, export, folder, force=force) if folder is not None and export.get("status") == "completed" else []
    end(out, export, paths)


def end(out: Output, export: dict[str, Any], paths: list[Path]) -> None:
    """An ended export: described, exit code 1 where it isn't completed."""
    if out.json_mode:
        out.document({**export, "downloaded": [str(path) for path in paths]} if paths else export)
    else:
        describe(out, export)
        for path in paths:
            print(path)
    if reason := failure_of(export):
        if out.json_mode:
            raise typer.Exit(FAILED)
        raise CliError(reason, "export_" + str(export.get("status")))
