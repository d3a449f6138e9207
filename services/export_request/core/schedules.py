"""What a schedule may be, which window of it runs next, and what follows from the end of a run."""

import dataclasses
import hashlib
import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from services.export_request.core import destinations
from services.export_request.core.destinations import Named
from services.export_request.core.limits import next_day
from services.export_request.core.request import Organisation, Resolved, resolve
from services.export_request.core.tenancy import timezone as timezone_check
from services.export_request.core.windows import (
    FREQUENCIES,
    Timing,
    Window,
    cron_problem,
    first_window,
    following,
    latest,
    window_from,
    windows,
)
from shared.checks import line
from shared.clock import instant
from shared.datasets import registry as datasets
from shared.datasets.instants import resolve_instant
from shared.datasets.plan import PlanSpec
from shared.errors import ApiError, Detail, invalid_request, unprocessable

NAME_MAX = 200
SCHEDULES_MAX = 10_000  # of an organisation
BACKFILL_WINDOWS_MAX = 1_500
BACKFILLS_AT_ONCE = 5  # of a schedule
EARLIEST = datetime(
    1000, 1, 1, tzinfo=UTC
)  # of a backfill's windows: what comes before one is looked for, and the calendar begins with the year 1
SKIPPED_MAX = 10_000  # windows that are counted one by one
CATCH_UP = ("all", "newest")
PREVIOUS = "previous"  # export.since: the export of the run before
FIELDS = ("name", "export", "frequency", "cron", "timezone", "sftp", "destinations", "catch_up")
RUNS_BEFORE = "runs_before"  # why a run waits: it is measured from one that has not ended
# Failures that may pass by themselves, and how long to wait before each further attempt.
PASSING = frozenset({
    "stalled", "store_refused", "store_full", "part_missing", "part_corrupt", "plan_failed", "format_failed", "upgrade_unfinished", "erased",
})  # fmt: skip
RETRY_SECONDS = (60, 300, 1_200)


class RunStatus(StrEnum):
    waiting = "waiting"
    running = "running"
    completed = "completed"
    failed = "failed"
    cancelled = "cancelled"
    skipped = "skipped"


class Kind(StrEnum):
    scheduled = "scheduled"
    manual = "manual"
    backfill = "backfill"


# ---- bodies


@dataclass(frozen=True)
class Wanted:
    """A schedule as a body asks for it, checked. `export` has no password; `password` is that of its files."""

    name: str
    export: Mapping[str, Any]
    timing: Timing
    sftp: bool
    catch_up: str
    resolved: Resolved
    destinations: tuple[Named, ...] = dataclasses.field(default=(), repr=False)


def wanted(
    body: Mapping[str, Any], organisation: Organisation, now: datetime, before: Mapping[str, Any] | None = None, password: str | None = None
) -> Wanted:
    """A new schedule, or one that was `before` with the changes of `body`. Raises ApiError that names every field that is wrong; `password`: the one it has.

    The export is checked as a request of its first window, so what is accepted here can be accepted then.
    """
    wrong = [Detail(name[:80], "unknown field") for name in body if name not in FIELDS]
    wrong += [Detail(name, "must be text") for name in ("frequency", "cron") if name in body and body[name] is None]
    fields = {"timezone": organisation.timezone, "sftp": False, "catch_up": "all", "destinations": [], **(before or {}), **body}
    if "cron" in body and "frequency" not in body:
        fields.pop("frequency", None)
    if "frequency" in body and "cron" not in body:
        fields.pop("cron", None)
    wrong += [Detail(name, "is required") for name in ("name", "export") if name not in fields]
    wrong += _plain_fields(fields)
    timing, problems = _timing(fields, now)
    wrong += problems
    resolved, mistakes, misfits = (
        _export(fields.get("export"), timing, organisation, now, password) if "export" in fields else (None, [], [])
    )
    if wrong or mistakes:
        raise invalid_request(*wrong, *mistakes)
    if misfits or resolved is None:
        raise unprocessable(*misfits)
    export = {name: value for name, value in fields["export"].items() if name != "password"}
    return Wanted(fields["name"], export, timing, fields["sftp"], fields["catch_up"], resolved, tuple(fields["destinations"]))


def _plain_fields(fields: Mapping[str, Any]) -> list[Detail]:
    wrong = line("name", fields["name"], NAME_MAX) if "name" in fields else []
    if not isinstance(fields["sftp"], bool):
        wrong.append(Detail("sftp", "must be true or false"))
    if fields["catch_up"] not in CATCH_UP or not isinstance(fields["catch_up"], str):
        wrong.append(Detail("catch_up", f"must be one of {', '.join(CATCH_UP)}"))
    return wrong + destinations.check(fields["destinations"])


def _timing(fields: Mapping[str, Any], now: datetime) -> tuple[Timing, list[Detail]]:
    """As far as it can be told; where something is wrong, a timing that stands in for it."""
    frequency, cron, timezone = fields.get("frequency"), fields.get("cron"), fields["timezone"]
    wrong = timezone_check(timezone)
    zone = "UTC" if wrong else timezone
    if frequency is not None and cron is not None:
        wrong.append(Detail("cron", "give either frequency or cron"))
    elif cron is not None:
        problem = cron_problem(cron, zone, now) if isinstance(cron, str) else "must be text"
        if problem is None:
            return Timing(None, " ".join(cron.split()), zone), wrong
        wrong.append(Detail("cron", problem))
    elif frequency is None:
        wrong.append(Detail("frequency", f"is required: one of {', '.join(FREQUENCIES)}; or give a cron expression"))
    elif frequency in FREQUENCIES and isinstance(frequency, str):
        return Timing(frequency, None, zone), wrong
    else:
        wrong.append(Detail("frequency", f"must be one of {', '.join(FREQUENCIES)}"))
    return Timing("hourly", None, zone), wrong


def _export(
    export: Any, timing: Timing, organisation: Organisation, now: datetime, password: str | None
) -> tuple[Resolved | None, list[Detail], list[Detail]]:
    """The export resolved, what is wrong with it by itself, and what doesn't fit together; fields as `export.<field>`."""
    if not isinstance(export, dict):
        return None, [Detail("export", "must be an object: the body of POST /v1/exports without from and to")], []
    wrong = [Detail(f"export.{name}", "is not said here: each run has its own window") for name in ("from", "to") if name in export]
    if "destinations" in export:
        wrong.append(Detail("export.destinations", "is not said here: a schedule names its destinations beside the export"))
    unfit: list[Detail] = []
    if "since" in export:
        mistake, unfit = _since(export)
        wrong += mistake
    asked = {name: value for name, value in export.items() if name not in ("from", "to", "since", "destinations")}
    try:
        window = None if measured(export) else first_window(timing, now)
        resolved = resolve(request_of(asked, timing.timezone, window, organisation, password), organisation)
    except ApiError as error:
        found = [_renamed(detail) for detail in error.details if not (unfit and detail.field in ("from", "to"))]
        return None, wrong + (found if error.status == 400 else []), [*unfit, *(found if error.status != 400 else [])]
    return resolved, wrong, unfit


def measured(export: Mapping[str, Any]) -> bool:
    """Whether each run holds what changed since the one before. Then it has no range: windows say when it runs, and no more."""
    return export.get("since") == PREVIOUS


def _since(export: Mapping[str, Any]) -> tuple[list[Detail], list[Detail]]:
    """What is wrong with it by itself, and what doesn't fit the dataset."""
    if not measured(export):
        return [Detail("export.since", f"must be '{PREVIOUS}': each run is measured from the one before")], []
    name = export.get("dataset")
    dataset = datasets.get(name) if isinstance(name, str) and name in datasets.names() else None
    if dataset is None:
        return [], []
    if dataset.entity is None:
        return [], [Detail("export.since", f"'{name}' can't be measured from another export; these can: {', '.join(measurable())}")]
    if dataset.range_rule == "required":
        why = f"'{name}' is exported by a range, which would stay that of the first run; these can be measured from the run before: {', '.join(measurable())}"
        return [], [Detail("export.since", why)]
    return [], []


def measurable() -> list[str]:
    """Datasets whose schedules can ask for what changed since the run before: a row an entity, and no range that windows would be."""
    return [name for name in datasets.names() if datasets.get(name).entity is not None and datasets.get(name).range_rule != "required"]


def _renamed(detail: Detail) -> Detail:
    if detail.field in ("from", "to"):  # the windows' own
        return Detail("cron", f"its windows are too long: {detail.message}")
    return Detail(f"export.{detail.field}" if detail.field else "export", detail.message)


def request_of(
    export: Mapping[str, Any],
    timezone: str,
    window: Window | None,
    organisation: Organisation,
    password: str | None = None,
    since: str | None = None,
) -> dict[str, Any]:
    """The body of POST /v1/exports that a window of the schedule stands for (none: it has no range). `since`: the export that it is measured from.
    A `password` goes along where one is still wanted."""
    body = {"timezone": timezone, **{name: value for name, value in export.items() if name != "since"}} | (
        {"since": since} if since else {}
    )
    known = body.get("dataset") in datasets.names() if isinstance(body.get("dataset"), str) else False
    if window is not None and (not known or not shows_an_instant(body["dataset"])):
        body |= {"from": instant(window.from_), "to": instant(window.to)}
    if (
        password is not None
        and "password" not in body
        and (organisation.require_password or (known and datasets.get(body["dataset"]).protected))
    ):
        body["password"] = password
    return body


def shows_an_instant(dataset: str, export: Mapping[str, Any] | None = None) -> bool:
    """Whether the export has no range: then a run shows its own instant, and an earlier window can't be made up for."""
    return datasets.get(dataset).range_rule == "refused" or (export is not None and measured(export))


def base_fits(before: PlanSpec, whole: PlanSpec) -> bool:
    """Whether a run may be measured from an export with the plan `before`, where one that is `whole` would be planned like this now.

    What a delta leaves out is the base's: a schedule or a setting that was changed must not go on with what it was before.
    """
    return before.model_copy(update={"since": None}) == whole


def resumption(body: Mapping[str, Any]) -> str | None:
    """What is done with the windows of the pause; None: as the schedule says. Raises ApiError 400."""
    wrong = [Detail(name[:80], "unknown field") for name in body if name != "catch_up"]
    chosen = body.get("catch_up")
    if "catch_up" in body and (chosen not in CATCH_UP or not isinstance(chosen, str)):
        wrong.append(Detail("catch_up", f"must be one of {', '.join(CATCH_UP)}"))
    if wrong:
        raise invalid_request(*wrong)
    return chosen


@dataclass(frozen=True)
class Backfill:
    """A range into whose windows a schedule is run; `again`: also those that have run."""

    start: datetime
    end: datetime
    again: bool
    windows: tuple[Window, ...]


def backfill(body: Mapping[str, Any], dataset: str, export: Mapping[str, Any], timing: Timing, decided_to: datetime) -> Backfill:
    """Raises ApiError: 400 that names the fields, 422 where the range holds no window that has ended, or too many. `decided_to`: from there on windows run by themselves."""
    wrong = [Detail(name[:80], "unknown field") for name in body if name not in ("from", "to", "again")]
    start, end = _instant(body, "from", timing.timezone, wrong), _instant(body, "to", timing.timezone, wrong)
    again = body.get("again", False)
    if not isinstance(again, bool):
        wrong.append(Detail("again", "must be true or false"))
    if wrong or start is None or end is None:
        raise invalid_request(*wrong)
    if shows_an_instant(dataset, export):
        what = "a delta" if measured(export) else f"'{dataset}'"
        raise unprocessable(Detail("", f"{what} shows the instant at which it is taken: an earlier one can't be made up for"))
    if end <= start:
        raise unprocessable(Detail("to", "must be after from"))
    within = windows(timing, max(start, EARLIEST), min(end, decided_to)) if start < decided_to else iter(())
    found = tuple(itertools.islice(within, BACKFILL_WINDOWS_MAX + 1))
    if not found:
        raise unprocessable(
            Detail("to", f"there is no whole window in this range before {instant(decided_to)}; later ones run by themselves")
        )
    if len(found) > BACKFILL_WINDOWS_MAX:
        raise unprocessable(Detail("to", f"the range has more than {BACKFILL_WINDOWS_MAX} windows: backfill it in pieces"))
    return Backfill(start, end, again, found)


def _instant(body: Mapping[str, Any], field: str, timezone: str, wrong: list[Detail]) -> datetime | None:
    value = body.get(field)
    if not isinstance(value, str):
        wrong.append(Detail(field, "is required: a date or a time" if field not in body else "must be text: a date or a time"))
        return None
    try:
        return resolve_instant(value, timezone)
    except ValueError as error:
        wrong.append(Detail(field, str(error)))
        return None


# ---- what runs next


@dataclass(frozen=True)
class Decision:
    """The window that runs now, the one that is next, and what was passed over: `skipped` stands for so many windows."""

    run: Window
    next: Window
    skipped: Window | None = None
    skipped_windows: int = 0


def decide(timing: Timing, window: Window, catch_up: str, instant: bool, now: datetime) -> Decision:
    """`window` has ended. Of several that have, the oldest runs (`all`), or the newest (`newest`, and wherever an export shows an `instant`)."""
    ends = latest(timing, now)
    if ends <= window.to or (catch_up == "all" and not instant):
        return Decision(window, window_from(timing, window.to))
    begins = latest(timing, ends - timedelta(microseconds=1))
    passed = 1 + sum(1 for _ in itertools.islice(windows(timing, window.to, begins), SKIPPED_MAX - 1))
    return Decision(Window(begins, ends), window_from(timing, ends), Window(window.from_, begins), passed)


def retimed(timing: Timing, next_from: datetime, decided: bool, now: datetime) -> Window:
    """The next window after the timing was changed: it begins where the last one ended, so that nothing is left out; before the first run, as if new."""
    return window_from(timing, next_from) if decided else first_window(timing, now)


def due_at(schedule_id: str, window: Window, spread_seconds: float) -> datetime:
    """When the window is run: when it has ended, and so much later as the schedule's id says, that many schedules don't run in one moment.

    Always the same for a schedule; at most `spread_seconds`, and half of the window. What the window holds doesn't depend on it.
    """
    part = int.from_bytes(hashlib.sha256(schedule_id.encode()).digest()[:8], "big") / 2**64
    return window.to + part * min(timedelta(seconds=spread_seconds), (window.to - window.from_) / 2)


def next_after(timing: Timing, window: Window) -> Window:
    return Window(window.to, following(timing, window.to))


# ---- what follows from an end


@dataclass(frozen=True)
class Again:
    """The window is run once more, at `at`; `counts`: as another attempt."""

    at: datetime
    counts: bool = True


def after_failure(code: str, attempts: int, now: datetime) -> Again | None:
    """Whether a run whose export failed is tried again; `attempts` so far. None: it has failed."""
    if code == "rows_limit":  # the organisation's day is full: the run waits for the next one
        return Again(next_day(now), counts=False)
    if code in PASSING and attempts <= len(RETRY_SECONDS):
        return Again(now + timedelta(seconds=RETRY_SECONDS[attempts - 1]))
    return None


# ---- views


def schedule_view(row: Mapping[str, Any], export: Any, last_run: dict[str, Any] | None = None) -> dict[str, Any]:
    """`row` of exports.schedules, `export` its decoded request, `last_run` the view of a run."""
    paused = row["paused_at"] is not None
    return {
        "id": row["id"], "name": row["name"], "export": export, "frequency": row["frequency"], "cron": row["cron"], "timezone": row["timezone"],
        "sftp": row["sftp"], "destinations": json.loads(row["destinations"]), "catch_up": row["catch_up"], "has_password": row["protected"],
        "status": "paused" if paused else "active", "paused_at": instant(row["paused_at"]),
        "next_window": {"from": instant(row["next_from"]), "to": instant(row["next_to"])}, "next_run_at": None if paused else instant(row["due_at"]),
        "last_run": last_run, "created_at": instant(row["created_at"]), "updated_at": instant(row["updated_at"]),
    }  # fmt: skip


def run_view(row: Mapping[str, Any], deliveries: Sequence[Mapping[str, Any]] = ()) -> dict[str, Any]:
    """`deliveries`: rows of delivery.deliveries, of its export."""
    return {
        "id": row["id"], "schedule_id": row["schedule_id"], "kind": row["kind"], "backfill_id": row["backfill_id"],
        "window": {"from": instant(row["window_from"]), "to": instant(row["window_to"])}, "windows": row["windows"], "status": row["status"],
        "export_id": row["export_id"], "file_name": row["file_name"], "rows": row["rows"], "attempts": row["attempts"],
        "next_attempt_at": instant(row["start_at"]) if row["status"] == RunStatus.waiting else None,
        "reason": {"code": row["code"], "message": row["message"]} if row["code"] else None, "deliveries": [delivery_view(each) for each in deliveries],
        "delta": _delta_view(row), "created_at": instant(row["created_at"]), "started_at": instant(row["started_at"]), "ended_at": instant(row["ended_at"]),
    }  # fmt: skip


def _delta_view(row: Mapping[str, Any]) -> dict[str, Any] | None:
    """Of a schedule with `"since": "previous"`: what the run is measured from, or why it is whole."""
    if row["since"] is None and row["whole_code"] is None:
        return None
    whole = {"code": row["whole_code"], "message": row["whole_message"] or ""} if row["whole_code"] else None
    return {"since": row["since"], "whole": whole}


def delivery_view(row: Mapping[str, Any]) -> dict[str, Any]:
    """`destination` is null where the files went to addresses that no destination stands for."""
    error = {"code": row["error_code"], "message": row["error_message"] or ""} if row["error_code"] else None
    return {
        "id": row["id"],
        "destination": row["destination_id"],
        "type": row["type"],
        "status": row["status"],
        "attempts": row["attempts"],
        "error": error,
    }


def backfill_view(row: Mapping[str, Any]) -> dict[str, Any]:
    """`row` of exports.schedule_backfills with the number of its runs by status."""
    counts = {status: row[status] for status in ("waiting", "running", "completed", "failed", "cancelled")}
    return {
        "id": row["id"], "from": instant(row["from_at"]), "to": instant(row["to_at"]), "windows": row["windows"], **counts,
        "ended": counts["waiting"] + counts["running"] == 0, "created_at": instant(row["created_at"]),
    }  # fmt: skip
