"""What the HTTP operations on schedules say of themselves (see shared/openapi.py)."""

from typing import Any

from services.export_request.core.destinations import TYPES
from services.export_request.core.schedules.bodies import CATCH_UP, NAME_MAX
from services.export_request.core.schedules.runs import Kind, RunStatus
from services.export_request.core.windows import CRON_MAX, FREQUENCIES
from services.export_request.operations import DESTINATIONS, SCHEDULED_EXPORT
from shared.openapi import (
    BOOLEAN,
    COUNT,
    INSTANT,
    LOCATION,
    NOTHING,
    PAGING,
    TIMEZONE,
    WHEN,
    Component,
    answer,
    body,
    following,
    line,
    link,
    listed,
    nullable,
    one_of,
    operation,
    page,
    path,
    query,
    shown,
    taken,
    text,
    whole,
)

_TAG = "Schedules"
_SCHEDULE_ID = path("schedule_id", "The schedule's id.", "sch_01KBX9ZJ5V8Q3M2N7R4T6W0Y1A")

# ---- what is asked for

_TIMING_RULE = "One of `frequency` and `cron`."
_FIELDS: dict[str, Any] = {
    "name": line(NAME_MAX),
    "export": SCHEDULED_EXPORT,
    "frequency": one_of(FREQUENCIES, description=f"From full hours, midnights or Mondays' midnights. {_TIMING_RULE}"),
    "cron": text(f"Five fields; a window is from one firing to the next. {_TIMING_RULE}", maxLength=CRON_MAX, examples=["15 6 * * 1-5"]),
    "timezone": {**TIMEZONE, "description": "An IANA name, in which the windows are and times are written; without one the organisation's."},
    "sftp": {**BOOLEAN, "default": False, "description": "Files appear in the SFTP server's folder of the dataset."},
    "destinations": DESTINATIONS,
    "catch_up": one_of(CATCH_UP, default="all", description="Of windows that were missed, all run, oldest first, or the newest alone."),
}  # fmt: skip
_EXAMPLE: dict[str, Any] = {
    "name": "Messages, hourly", "export": {"dataset": "messages", "format": "csv", "filter": {"channel": ["ch_1"]}}, "frequency": "hourly",
    "timezone": "Europe/Brussels", "sftp": True, "destinations": [{"type": "s3", "id": "dst_01KBX9ZJ5V8Q3M2N7R4T6W0Y1A"}],
}  # fmt: skip
_ONE_TIMING = {"oneOf": [{"required": ["frequency"]}, {"required": ["cron"]}]}
NEW_SCHEDULE = Component("ScheduleRequest", {**taken(_FIELDS, ["name", "export"]), **_ONE_TIMING})
SCHEDULE_CHANGES = Component("ScheduleChanges", {**taken(_FIELDS), "not": {"required": ["frequency", "cron"]}})

# ---- what is answered

_WINDOW = shown({"from": nullable(INSTANT), "to": INSTANT})
_RUN_EXAMPLE: dict[str, Any] = {
    "id": "run_01KBX9ZJ5V8Q3M2N7R4T6W0Y1A", "schedule_id": _SCHEDULE_ID["example"], "kind": "scheduled", "backfill_id": None,
    "window": {"from": "2026-03-15T08:00:00.000Z", "to": "2026-03-15T09:00:00.000Z"}, "windows": 1, "status": "completed", "export_id": "exp_01KBX9ZJ5V8Q3M2N7R4T6W0Y1A",
    "file_name": "org_demo_message_15032026090000_15032026100000_019afa9f-c8bb-45c7-4154-f8268dc0782a.csv", "rows": 812, "attempts": 1, "next_attempt_at": None, "reason": None,
    "deliveries": [], "delta": None, "created_at": "2026-03-15T09:00:41.000Z", "started_at": "2026-03-15T09:00:41.000Z", "ended_at": "2026-03-15T09:00:42.000Z",
}  # fmt: skip
RUN = Component("ScheduleRun", shown(
    {
        "id": text(), "schedule_id": text(), "kind": one_of(Kind), "backfill_id": nullable(text()),
        "window": {**_WINDOW, "description": "`from` is null where the dataset shows an instant."}, "windows": whole(1, description="How many windows a skipped run stands for."),
        "status": one_of(RunStatus), "export_id": nullable(text("Of its last attempt.")), "file_name": nullable(text("Of the first file.")), "rows": nullable(COUNT), "attempts": COUNT,
        "next_attempt_at": nullable(INSTANT), "reason": nullable(shown({"code": text("docs/schedules.md explains each."), "message": text()}, description="Why it waits, was skipped or has failed.")),
        "deliveries": listed(shown({
            "id": text(), "destination": nullable(text("Null: addresses that no destination stands for.")), "type": one_of(TYPES),
            "status": one_of(("pending", "held", "delivered", "failed", "cancelled")), "attempts": COUNT,
            "error": nullable(shown({"code": text("docs/destinations.md explains each."), "message": text()}, description="Of the last attempt.")),
        }), description="What became of its files at the schedule's destinations."),
        "delta": nullable(shown({
            "since": nullable(text("The export that it is measured from.")),
            "whole": nullable(shown({"code": text("docs/schedules.md explains each."), "message": text()}, description="Why it is a whole export.")),
        }, description='Of a schedule with `"since": "previous"`, once it has started.')),
        "created_at": INSTANT, "started_at": nullable(INSTANT), "ended_at": nullable(INSTANT),
    },
    examples=[_RUN_EXAMPLE],
))  # fmt: skip
BACKFILL = Component("ScheduleBackfill", shown(
    {
        "id": text(), "from": INSTANT, "to": INSTANT, "windows": {**COUNT, "description": "That it runs."}, "waiting": COUNT, "running": COUNT, "completed": COUNT, "failed": COUNT, "cancelled": COUNT,
        "ended": BOOLEAN, "created_at": INSTANT, "already_run": {**COUNT, "description": "Windows of the range that it leaves out; told when it is asked for."},
    },
    optional=("already_run",),
    examples=[{
        "id": "bf_01KBX9ZJ5V8Q3M2N7R4T6W0Y1A", "from": "2026-03-01T00:00:00.000Z", "to": "2026-03-02T00:00:00.000Z", "windows": 23, "waiting": 22, "running": 1, "completed": 0, "failed": 0,
        "cancelled": 0, "ended": False, "created_at": "2026-03-15T09:00:41.000Z", "already_run": 1,
    }],
))  # fmt: skip
SCHEDULE = Component("Schedule", shown(
    {
        "id": text(), "name": text(), "export": {"type": "object", "description": "As it was asked for, without its password."}, "frequency": nullable(one_of(FREQUENCIES)), "cron": nullable(text()),
        "timezone": TIMEZONE, "sftp": BOOLEAN, "destinations": DESTINATIONS, "catch_up": one_of(CATCH_UP), "has_password": BOOLEAN, "status": one_of(("active", "paused")),
        "paused_at": nullable(INSTANT), "next_window": shown({"from": INSTANT, "to": INSTANT}), "next_run_at": nullable(INSTANT), "last_run": nullable(RUN), "created_at": INSTANT, "updated_at": INSTANT,
        "backfills": listed(BACKFILL, description="The newest; only where one schedule is looked at."),
    },
    optional=("backfills",),
    examples=[{
        "id": _SCHEDULE_ID["example"], "name": "Messages, hourly", "export": _EXAMPLE["export"], "frequency": "hourly", "cron": None, "timezone": "Europe/Brussels", "sftp": True, "destinations": _EXAMPLE["destinations"],
        "catch_up": "all", "has_password": False, "status": "active", "paused_at": None, "next_window": {"from": "2026-03-15T09:00:00.000Z", "to": "2026-03-15T10:00:00.000Z"},
        "next_run_at": "2026-03-15T10:00:41.000Z", "last_run": _RUN_EXAMPLE, "created_at": "2026-03-01T12:00:00.000Z", "updated_at": "2026-03-01T12:00:00.000Z", "backfills": [],
    }],
))  # fmt: skip
_THIS = {"schedule_id": "$response.body#/id"}
_NEXT = {
    "Look": link("get_schedule", "What it is, and what came last.", **_THIS), "Runs": link("list_runs", "What came of each window.", **_THIS),
    "Pause": link("pause_schedule", "No window runs until it is resumed.", **_THIS), "RunNow": link("run_schedule", "The newest whole window, now.", **_THIS),
    "Delete": link("delete_schedule", "It is no more; its exports stay.", **_THIS),
}  # fmt: skip

# ---- operations

POST_SCHEDULE = operation(
    "Make a schedule", _TAG, {201: answer("The schedule. Its first window is the first that begins from now on.", SCHEDULE, headers=LOCATION, links=_NEXT)},
    description="The export is checked as `POST /v1/exports` checks it; fields are named `export.<field>`.", body=body(NEW_SCHEDULE, _EXAMPLE), errors=[404, 409, 422],
)  # fmt: skip
LIST_SCHEDULES = operation(
    "List schedules",
    _TAG,
    {200: answer("A page of them, oldest first.", page(SCHEDULE), links=following("list_schedules"))},
    parameters=PAGING,
)
GET_SCHEDULE = operation(
    "Look at a schedule", _TAG, {200: answer("The schedule, its last run and its backfills.", SCHEDULE)}, parameters=[_SCHEDULE_ID]
)
PATCH_SCHEDULE = operation(
    "Change a schedule", _TAG, {200: answer("The schedule as it is now.", SCHEDULE)},
    description="`export` is replaced whole, but for its password, which stays where none is named. With another timing the next window begins where the last one ended.",
    parameters=[_SCHEDULE_ID], body=body(SCHEDULE_CHANGES, {"frequency": "daily"}), errors=[422],
)  # fmt: skip
DELETE_SCHEDULE = operation(
    "Delete a schedule", _TAG, {204: answer("It is gone, with its runs and its password. Its exports stay.")}, parameters=[_SCHEDULE_ID]
)
PAUSE_SCHEDULE = operation(
    "Pause a schedule", _TAG, {200: answer("The schedule. What has begun goes on.", SCHEDULE, links={"Resume": link("resume_schedule", "It goes on.", **_THIS)})},
    parameters=[_SCHEDULE_ID], body=NOTHING,
)  # fmt: skip
RESUME_SCHEDULE = operation(
    "Resume a schedule", _TAG, {200: answer("The schedule. Windows of the pause are caught up with.", SCHEDULE)}, parameters=[_SCHEDULE_ID],
    body=body(
        Component("ScheduleResumption", taken({"catch_up": one_of(CATCH_UP, description="For this once; without it as the schedule says.")})), {"catch_up": "newest"}, required=False,
    ),
)  # fmt: skip
RUN_SCHEDULE = operation(
    "Run the newest whole window now", _TAG,
    {202: answer("The run. It waits where a limit of the organisation is reached.", RUN, links={"Export": link("get_export", "How far it is.", export_id="$response.body#/export_id")})},
    description="Whether it has run or not. Of a dataset that shows an instant: this one.", parameters=[_SCHEDULE_ID], body=NOTHING,
)  # fmt: skip
LIST_RUNS = operation(
    "List a schedule's runs", _TAG, {200: answer("A page of them, newest windows first.", page(RUN), links=following("list_runs", schedule_id="$request.path.schedule_id"))},
    parameters=[_SCHEDULE_ID, query("status", one_of(RunStatus), "One of these.", many=True), *PAGING],
)  # fmt: skip
BACKFILL_SCHEDULE = operation(
    "Run the windows of a range", _TAG, {202: answer("The backfill: its windows run one at a time, oldest first.", BACKFILL)}, parameters=[_SCHEDULE_ID],
    body=body(
        Component("BackfillRequest", taken({
            "from": {**WHEN, "description": "Windows that begin here or later."}, "to": {**WHEN, "description": "Windows that end here or before."},
            "again": {**BOOLEAN, "default": False, "description": "Also those that have run."},
        }, ["from", "to"])), {"from": "2026-03-01", "to": "2026-03-02"},
    ), errors=[409, 422],
)  # fmt: skip
