"""What a step of an export's life does: its row, its events and what the store may drop, in the caller's transaction."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from services.export_request.core.events import export_event, progress_is_due
from services.export_request.core.life import Discard, Happening, Life, Status, Step, Told, step
from services.export_request.core.view import export_view
from services.export_request.ends import CHANNEL
from services.export_request.metrics import ENDS
from services.export_request.queries import load
from services.export_request.schedules.ending import run_of_export_ended
from shared import audit
from shared.database import Connection
from shared.ids import new_id
from shared.messages import DiscardExport
from shared.metrics import STAGE_SECONDS
from shared.observability import current_traceparent
from shared.outbox import Outgoing, internal
from shared.topics import EXPORT_ASSEMBLIES

_SAVED = (
    "express", "files_planned", "planned_to", "lease_until", "planned_at", "files", "started_at", "completed_at", "released_at",
    "progress_told_at", "redacted", "excluded", "awaiting_since", "decided_by", "decided_at", "expires_at",
)  # fmt: skip

Row = Mapping[str, Any]
ACTOR = "service:export-request"
UNCHANGED = "unchanged"  # why a delta leaves a row out: what it reads had changed, and it came out as it was


@dataclass(frozen=True)
class Outcome:
    """The export's row after a step, and what is to be published with it."""

    row: Row
    messages: list[Outgoing] = field(default_factory=list)


def life_of(row: Row) -> Life:
    return Life(
        Status(row["status"]), row["planned"], row["rows_planned"], row["chunks_planned"], row["rows_written"], row["chunks_done"],
        sum(each["rows"] for each in json.loads(row["excluded"])), row["error_code"], row["error_message"],
        None if row["decided_by"] else row["approval_above"],
    )  # fmt: skip


class Effects:
    """Writes steps. `public_url` is where callers reach the API."""

    def __init__(self, public_url: str) -> None:
        self._url = public_url.rstrip("/")
        self._queries = load()

    def view(self, row: Row, now: datetime, position: int | None = None) -> dict[str, Any]:
        """The export as GET /v1/exports/{id} shows it."""
        shown = self._view(row, now, position)
        where = json.loads(row["destinations"])
        return shown | {"request": (shown["request"] or {}) | {"destinations": where}} if where else shown

    def _view(self, row: Row, now: datetime, position: int | None = None) -> dict[str, Any]:
        """As subscribers are told of it: without destinations, as addresses are personal."""
        shown = {**row, "excluded": json.loads(row["excluded"])}
        return export_view(shown, json.loads(row["files"]), json.loads(row["request"]), now, self._url, position)

    def event(self, told: Told, row: Row, now: datetime) -> Outgoing:
        return export_event(told, self._view(row, now), new_id("evt"), now, current_traceparent())

    async def apply(self, connection: Connection, row: Row, happening: Happening, now: datetime, **changes: Any) -> Outcome | None:
        """Take the step that `happening` makes of the locked `row`; None where it changes nothing. `changes`: columns besides its life."""
        taken = step(life_of(row), happening)
        if taken is None:
            return None
        told = [t for t in taken.told if t is not Told.progress or progress_is_due(row["progress_told_at"], now)]
        saved = await self._save(connection, row, taken, told, now, changes)
        if Told.started in told:
            STAGE_SECONDS.labels("release").observe(seconds_between(row["created_at"], now))
        messages = [self.event(t, saved, now) for t in told]
        if taken.discard is not Discard.nothing:
            messages.append(discard(row, files=taken.discard is Discard.everything))
        if taken.life.ended:
            ENDS.labels(saved["status"], saved["error_code"] or "").inc()
            if taken.life.status is Status.completed:
                STAGE_SECONDS.labels("whole").observe(seconds_between(row["created_at"], now))
            await self._queries.drop_chunks(connection, export_id=row["id"])
            await self._queries.tell_end(connection, channel=CHANNEL, export_id=row["id"])
            if row["protected"]:
                await self._queries.forget_password(connection, export_id=row["id"])
            if row["schedule_id"] is not None:
                messages += await run_of_export_ended(connection, saved, now)
            messages += _noted(saved)
        return Outcome(saved, messages)

    async def _save(
        self, connection: Connection, row: Row, taken: Step, told: Sequence[Told], now: datetime, changes: Mapping[str, Any]
    ) -> Row:
        life = taken.life
        values = {name: row[name] for name in _SAVED} | dict(changes)
        if life.rows_excluded:
            values["excluded"] = json.dumps([{"reason": UNCHANGED, "rows": life.rows_excluded}])
        if Told.started in told:
            values["started_at"] = now
        if Told.awaiting_approval in told:
            values["awaiting_since"] = now
        if Told.progress in told:
            values["progress_told_at"] = now
        if life.ended and life.status is not Status.expired:
            values["completed_at"] = now
        saved: Row = await self._queries.save_export(
            connection, id=row["id"], status=life.status, planned=life.planned, rows_planned=life.rows_planned,
            chunks_planned=life.chunks_planned, rows_written=life.rows_written, chunks_done=life.chunks_done,
            error_code=life.error_code, error_message=life.error_message, progressed_at=now, **values,
        )  # fmt: skip
        return saved


def _noted(row: Row) -> list[Outgoing]:
    """An end, for the audit trail; a cancelled one is noted with who cancelled it."""
    if row["status"] == Status.cancelled:
        return []
    files = [{name: file[name] for name in ("name", "rows", "bytes", "sha256")} for file in json.loads(row["files"])]
    details = {"error": row["error_code"]} if row["error_code"] else {"files": files} if row["status"] == Status.completed else {}
    return [audit.note(row["org_id"], ACTOR, f"export.{row['status']}", row["id"], details)]


def seconds_between(began: datetime, now: datetime) -> float:
    """Never less than 0: processes' clocks differ a little."""
    return max(0.0, (now - began).total_seconds())


def discard(row: Row, files: bool) -> Outgoing:
    """Tells delivery to drop an export's parts, and its files too where `files`."""
    return internal(EXPORT_ASSEMBLIES, row["id"], DiscardExport(row["id"], row["org_id"], files))
