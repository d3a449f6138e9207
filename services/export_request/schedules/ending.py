"""What the end of an export means for the schedule's run that it belongs to, in the transaction of that end."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from services.export_request.core.events import run_failed_event
from services.export_request.core.life import Status
from services.export_request.core.schedules.runs import RUNS_BEFORE, RunStatus, after_failure
from services.export_request.metrics import SCHEDULE_RUNS
from services.export_request.schedules.queries import load
from shared.database import Connection
from shared.ids import new_id
from shared.observability import current_traceparent
from shared.outbox import Outgoing

Row = Mapping[str, Any]


async def run_of_export_ended(connection: Connection, export: Row, now: datetime) -> list[Outgoing]:
    """`export` has just ended: its run ends too, or is tried again, and what waited for it may go on. What is to be told of it."""
    queries = load()
    schedule = await queries.lock_schedule(connection, id=export["schedule_id"])  # before the run, as everywhere
    run = await queries.run_of_export(connection, export_id=export["id"])
    if run is None:
        return []
    status, code, message = Status(export["status"]), export["error_code"], export["error_message"]
    if status is Status.failed and (again := after_failure(code, run["attempts"], now)) is not None:
        await queries.run_waits(connection, id=run["id"], start_at=again.at, code=code, message=message, uncounted=0 if again.counts else 1)
        return []
    files = json.loads(export["files"])
    ended = RunStatus(status.value) if status in (Status.completed, Status.failed) else RunStatus.cancelled
    rows = export["rows_written"] if ended is RunStatus.completed else None
    return await close(connection, schedule, run, ended, now, code, message, files[0]["name"] if files else None, rows)


async def close(
    connection: Connection, schedule: Row, run: Row, status: RunStatus, now: datetime, code: str | None = None, message: str | None = None,
    file_name: str | None = None, rows: int | None = None,
) -> list[Outgoing]:  # fmt: skip
    """The run has ended; the schedule's next window, and the next of a backfill, may come. What is to be told of it, with the same transaction."""
    queries = load()
    await queries.run_ended(connection, id=run["id"], status=status, code=code, message=message, file_name=file_name, rows=rows, now=now)
    await queries.close_run(connection, schedule_id=run["schedule_id"], run_id=run["id"])
    await queries.go_on(connection, schedule_id=run["schedule_id"], code=RUNS_BEFORE, now=now)
    if run["backfill_id"] is not None:
        await queries.next_of_backfill(connection, backfill_id=run["backfill_id"], now=now)
    SCHEDULE_RUNS.labels(run["kind"], status).inc()
    if status is not RunStatus.failed or code is None:
        return []
    return [run_failed_event(schedule, run, code, message, new_id("evt"), now, current_traceparent())]
