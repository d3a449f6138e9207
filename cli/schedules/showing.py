"""Schedules and their runs for people, or as JSON."""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from cli.errors import UsageError
from cli.output import Output

Row = Mapping[str, Any]
FREQUENCIES = {"hour": "hourly", "day": "daily", "week": "weekly"}


def path_of(schedule_id: str) -> str:
    return f"/v1/schedules/{quote(schedule_id, safe='')}"


def frequency_of(every: str | None) -> str | None:
    """`--every` as the API calls it. Raises UsageError."""
    if every is None:
        return None
    if every not in FREQUENCIES and every not in FREQUENCIES.values():
        raise UsageError(f"--every: '{every}' is none of {', '.join(FREQUENCIES)}.")
    return FREQUENCIES.get(every, every)


def list_schedules(out: Output, schedules: Sequence[Row]) -> None:
    if out.json_mode:
        out.document({"data": list(schedules)})
        return
    rows = [
        [s.get("id"), s.get("name"), _dataset(s), s.get("frequency") or s.get("cron"), s.get("timezone"), s.get("status"), s.get("next_run_at"), _outcome(s.get("last_run"))]
        for s in schedules
    ]  # fmt: skip
    out.table(["id", "name", "dataset", "when", "timezone", "state", "next run", "last run"], rows, "No schedule.")


def show_schedule(out: Output, schedule: Row) -> None:
    if out.json_mode:
        out.document(schedule)
        return
    window = schedule.get("next_window") or {}
    out.fields([
        ("id", schedule.get("id")), ("name", schedule.get("name")), ("state", schedule.get("status")), ("dataset", _dataset(schedule)),
        ("when", f"{schedule.get('frequency') or schedule.get('cron')}, {schedule.get('timezone')}"), ("catches up", schedule.get("catch_up")),
        ("sftp", "yes" if schedule.get("sftp") else None), ("brought to", _places(schedule) or None),
        ("password", "kept" if schedule.get("has_password") else None),
        ("next window", _window(window)), ("next run", schedule.get("next_run_at")), ("last run", _outcome(schedule.get("last_run"))),
        *((f"backfill {b.get('id')}", f"{b.get('completed')} of {b.get('windows')} windows, {b.get('failed')} failed") for b in schedule.get("backfills") or []),
    ])  # fmt: skip


def show_run(out: Output, run: Row) -> None:
    if out.json_mode:
        out.document(run)
        return
    reason = run.get("reason") or {}
    out.fields([
        ("id", run.get("id")), ("window", _window(run.get("window") or {})), ("state", run.get("status")), ("export", run.get("export_id")),
        ("file", run.get("file_name")), ("reason", reason.get("message")), ("delta", _delta(run)), *((f"at {_place(d)}", _delivered(d)) for d in run.get("deliveries") or []),
    ])  # fmt: skip
    if run.get("export_id"):
        out.note(f"`waybill exports watch {run['export_id']}` follows it.")


def list_runs(out: Output, runs: Sequence[Row]) -> None:
    if out.json_mode:
        out.document({"data": list(runs)})
        return
    rows = [
        [_window(r.get("window") or {}), r.get("kind"), r.get("status"), r.get("rows"), r.get("export_id"), r.get("file_name"), "; ".join(f"{_place(d)} {_delivered(d)}" for d in r.get("deliveries") or []), (r.get("reason") or {}).get("message")]
        for r in runs
    ]  # fmt: skip
    out.table(["window", "kind", "state", "rows", "export", "file", "brought", "reason"], rows, "No run yet.")


def _places(schedule: Row) -> str:
    return ", ".join(f"{d.get('type')} {d.get('id') or ', '.join(d.get('to') or [])}" for d in schedule.get("destinations") or [])


def _place(delivery: Row) -> str:
    return str(delivery.get("destination") or delivery.get("type"))


def _delta(run: Row) -> str | None:
    delta = run.get("delta") or {}
    return f"since {delta['since']}" if delta.get("since") else (delta.get("whole") or {}).get("message")


def _delivered(delivery: Row) -> str:
    """`failed (refused)`, `delivered`."""
    error = delivery.get("error") or {}
    return (
        f"{delivery.get('status')} ({error.get('code')})"
        if error and delivery.get("status") != "delivered"
        else str(delivery.get("status"))
    )


def _dataset(schedule: Row) -> str:
    export = schedule.get("export") or {}
    formats = export.get("formats") or ([export["format"]] if export.get("format") else [])
    return " ".join([str(export.get("dataset")), *(["as", ", ".join(formats)] if formats else [])])


def _window(window: Row) -> str:
    return f"{window['from']} – {window.get('to')}" if window.get("from") else str(window.get("to") or "")


def _outcome(run: Row | None) -> str:
    return f"{run.get('status')} ({_window(run.get('window') or {})})" if run else "none yet"
