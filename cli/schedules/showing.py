"""Schedules and their runs for people, or as JSON."""

from collections.abc import Sequence

from cli.errors import UsageError
from cli.output import Columns, Output, Row

FREQUENCIES = {"hour": "hourly", "day": "daily", "week": "weekly"}


def frequency_of(every: str | None) -> str | None:
    """`--every` as the API calls it. Raises UsageError."""
    if every is None:
        return None
    if every not in FREQUENCIES and every not in FREQUENCIES.values():
        raise UsageError(f"--every: '{every}' is none of {', '.join(FREQUENCIES)}.")
    return FREQUENCIES.get(every, every)


def list_schedules(out: Output, schedules: Sequence[Row]) -> None:
    columns: Columns = {
        "id": "id", "name": "name", "dataset": _dataset, "when": _when, "timezone": "timezone", "state": "status", "next run": "next_run_at", "last run": _last,
    }  # fmt: skip
    out.listed(schedules, columns, "No schedule.")


def show_schedule(out: Output, schedule: Row) -> None:
    out.one(schedule, _of_schedule)


def _of_schedule(schedule: Row) -> list[tuple[str, object]]:
    return [
        ("id", schedule.get("id")), ("name", schedule.get("name")), ("state", schedule.get("status")), ("dataset", _dataset(schedule)),
        ("when", f"{_when(schedule)}, {schedule.get('timezone')}"), ("catches up", schedule.get("catch_up")),
        ("sftp", "yes" if schedule.get("sftp") else None), ("brought to", _places(schedule) or None),
        ("password", "kept" if schedule.get("has_password") else None),
        ("next window", _window(schedule.get("next_window") or {})), ("next run", schedule.get("next_run_at")), ("last run", _last(schedule)),
        *((f"backfill {b.get('id')}", f"{b.get('completed')} of {b.get('windows')} windows, {b.get('failed')} failed") for b in schedule.get("backfills") or []),
    ]  # fmt: skip


def show_run(out: Output, run: Row) -> None:
    out.one(run, _of_run)
    if run.get("export_id"):
        out.hint(f"`waybill exports watch {run['export_id']}` follows it.")


def _of_run(run: Row) -> list[tuple[str, object]]:
    return [
        ("id", run.get("id")), ("window", _window(run.get("window") or {})), ("state", run.get("status")), ("export", run.get("export_id")),
        ("file", run.get("file_name")), ("reason", _reason(run)), ("delta", _delta(run)), *((f"at {_place(d)}", _delivered(d)) for d in run.get("deliveries") or []),
    ]  # fmt: skip


def list_runs(out: Output, runs: Sequence[Row]) -> None:
    columns: Columns = {
        "window": lambda r: _window(r.get("window") or {}), "kind": "kind", "state": "status", "rows": "rows", "export": "export_id", "file": "file_name",
        "brought": lambda r: "; ".join(f"{_place(d)} {_delivered(d)}" for d in r.get("deliveries") or []), "reason": _reason,
    }  # fmt: skip
    out.listed(runs, columns, "No run yet.")


def _reason(run: Row) -> object:
    return (run.get("reason") or {}).get("message")


def _when(schedule: Row) -> object:
    return schedule.get("frequency") or schedule.get("cron")


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


def _last(schedule: Row) -> str:
    run = schedule.get("last_run")
    return f"{run.get('status')} ({_window(run.get('window') or {})})" if run else "none yet"
