"""What people are told of: one notice for each thing that happened, in words that say what it was. docs/notifications.md says what to do about each kind."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from shared.clock import instant

MESSAGE_MAX = 1_000


class Kind(StrEnum):
    delivery_failed = "delivery_failed"
    destination_paused = "destination_paused"
    destination_resumed = "destination_resumed"
    schedule_run_failed = "schedule_run_failed"
    schedule_windows_skipped = "schedule_windows_skipped"
    webhook_endpoint_disabled = "webhook_endpoint_disabled"
    approval_awaited = "approval_awaited"
    files_missing = "files_missing"


# Something failed that somebody has to look at: these go to the alert channels too.
FAILING = frozenset(
    {Kind.delivery_failed, Kind.destination_paused, Kind.schedule_run_failed, Kind.webhook_endpoint_disabled, Kind.files_missing}
)


@dataclass(frozen=True)
class Notice:
    """`key` is the same however often the same thing is heard of: it is written once. `subject` holds ids and codes, never an address. `about` is what a
    flood is counted by: of the same kind about the same thing, alerts are few."""

    kind: Kind
    key: str
    message: str
    at: datetime
    about: str
    subject: Mapping[str, Any] = field(default_factory=dict)

    @property
    def alerts(self) -> bool:
        return self.kind in FAILING

    @property
    def topic(self) -> str:
        return f"{self.kind}/{self.about}"


def _made(kind: Kind, key: str, message: str, at: datetime, about: str, **subject: Any) -> Notice:
    line = "".join(c if c.isprintable() else " " for c in message)
    return Notice(kind, f"{kind}/{key}", line if len(line) <= MESSAGE_MAX else line[: MESSAGE_MAX - 1] + "…", at, about, subject)


def delivery_failed(
    *, at: datetime, delivery_id: str, export_id: str, schedule_id: str | None, type: str, destination_id: str | None, destination_name: str | None,
    attempts: int, code: str, message: str,
) -> Notice:  # fmt: skip
    """Once for each time that it was given up: `attempts` counts all there ever were."""
    place = (
        f"'{destination_name}' ({type})"
        if destination_name
        else "the e-mail addresses of the request"
        if destination_id is None
        else f"{destination_id} ({type})"
    )
    tried = "1 attempt" if attempts == 1 else f"{attempts} attempts"
    return _made(
        Kind.delivery_failed, f"{delivery_id}/{attempts}",
        f"The files of export {export_id} were not brought to {place}, after {tried}: {message} They can still be downloaded.", at,
        destination_id or schedule_id or export_id,
        delivery_id=delivery_id, export_id=export_id, schedule_id=schedule_id, destination_id=destination_id, type=type, code=code,
    )  # fmt: skip


def destination_paused(
    *, at: datetime, destination_id: str, name: str, type: str, failures: int, failing_since: datetime, code: str, message: str
) -> Notice:
    return _made(
        Kind.destination_paused, f"{destination_id}/{instant(at)}",
        f"The destination '{name}' ({type}) is paused: {failures} deliveries in a row failed since {instant(failing_since)}. The last one: {message} "
        "What comes meanwhile is held; a test that passes sends it.",
        at, destination_id, destination_id=destination_id, type=type, code=code,
    )  # fmt: skip


def destination_resumed(*, at: datetime, destination_id: str, name: str, type: str) -> Notice:
    return _made(
        Kind.destination_resumed, f"{destination_id}/{instant(at)}", f"The destination '{name}' ({type}) is used again, and what was held is sent.", at,
        destination_id, destination_id=destination_id, type=type,
    )  # fmt: skip


def webhook_endpoint_disabled(*, at: datetime, endpoint_id: str, reason: str, message: str) -> Notice:
    return _made(
        Kind.webhook_endpoint_disabled, f"{endpoint_id}/{instant(at)}", f"The webhook endpoint {endpoint_id} is disabled: {message}", at, endpoint_id,
        endpoint_id=endpoint_id, code=reason,
    )  # fmt: skip


def approval_awaited(*, at: datetime, export_id: str, dataset: str, rows: int | None) -> Notice:
    count = f" of {rows:,} rows" if rows is not None else ""
    return _made(
        Kind.approval_awaited, export_id, f"Export {export_id} ({dataset}{count}) waits for somebody to approve it.", at, export_id, export_id=export_id,
    )  # fmt: skip


def schedule_run_failed(
    *, at: datetime, schedule_id: str, name: str, run_id: str, window: str, export_id: str | None, code: str, message: str,
    backfill_id: str | None = None,
) -> Notice:  # fmt: skip
    """Of a backfill the first one: a thousand windows fail as one does, and the schedule's runs list them all."""
    others = " It is the first of a backfill; others of it that fail stand in the schedule's runs." if backfill_id else ""
    return _made(
        Kind.schedule_run_failed, backfill_id or run_id, f"The schedule '{name}' has no file for {window}: {message}{others}", at, schedule_id,
        schedule_id=schedule_id, run_id=run_id, backfill_id=backfill_id, export_id=export_id, code=code,
    )  # fmt: skip


def schedule_windows_skipped(*, at: datetime, schedule_id: str, name: str, run_id: str, windows: int, window: str) -> Notice:
    count = "1 window" if windows == 1 else f"{windows} windows"
    return _made(
        Kind.schedule_windows_skipped, run_id, f"The schedule '{name}' skipped {count} ({window}): they were over when a newer one could run. A backfill brings them.",
        at, schedule_id, schedule_id=schedule_id, run_id=run_id, windows=windows,
    )  # fmt: skip


def files_missing(*, at: datetime, export_id: str, names: Sequence[str]) -> Notice:
    return _made(
        Kind.files_missing, export_id,
        f"Files of export {export_id} are gone from the store, or not what was published: {', '.join(names)}. Running it again brings the same bytes.", at, "store",
        export_id=export_id,
    )  # fmt: skip


def view(row: Mapping[str, Any], subject: Any, alerts: list[dict[str, Any]]) -> dict[str, Any]:
    """A row of delivery.notifications as the API shows it."""
    return {
        "id": row["id"], "kind": row["kind"], "message": row["message"], "subject": subject, "created_at": instant(row["created_at"]), "alerts": alerts,
    }  # fmt: skip
