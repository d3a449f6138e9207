"""Reading, listing, cancelling and deleting exports, under the organisation's row-level security."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import asyncpg

from services.export_request.asking import organisation_of
from services.export_request.assembly import Assembly
from services.export_request.core import upgrades
from services.export_request.core.approving import check
from services.export_request.core.holding import check_delete, check_hold
from services.export_request.core.life import RUNNING, Approved, Cancelled, Rejected, Status
from services.export_request.core.release import queue_position
from services.export_request.effects import Effects, Row, discard
from services.export_request.planning import Planner
from services.export_request.queries import load, rows
from services.export_request.releasing import Releaser
from shared import audit
from shared.database import Connection, across_tenants, tenant
from shared.datasets import registry as datasets
from shared.datasets.plan import CustomProperty
from shared.errors import not_found
from shared.http import Principal
from shared.outbox import Outbox

RARE = 1_000  # fewer exports carry a rare label


@dataclass(frozen=True)
class Wanted:
    """What a list shows: any of the statuses and datasets, all of the labels, asked for in (created_after, created_before)."""

    statuses: tuple[str, ...] = ()
    datasets: tuple[str, ...] = ()
    labels: Mapping[str, str] | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None
    schedule_id: str | None = None
    held: bool = False


class Exports:
    """An organisation's exports. Another organisation's id is not found."""

    def __init__(
        self, pool: asyncpg.Pool, outbox: Outbox, effects: Effects, assembly: Assembly, planner: Planner, releaser: Releaser, clock: Callable[[], datetime],
        upgrading: bool = False,
    ) -> None:  # fmt: skip
        self._pool, self._outbox, self._effects, self._releaser = pool, outbox, effects, releaser
        self._assembly, self._planner = assembly, planner
        self._clock, self._queries, self._upgrading = clock, load(), upgrading

    async def get(self, org_id: str, export_id: str) -> Row:
        async with tenant(self._pool, org_id, readonly=True) as connection:
            row: Row | None = await self._queries.export(connection, id=export_id)
        if row is None:
            raise not_found("The export")
        return row

    async def view(self, row: Row) -> dict[str, Any]:
        """As the contract shows it, with its place in the queue while it waits."""
        position = await self.position(row) if row["started_at"] is None and row["status"] in RUNNING - {Status.awaiting_approval} else None
        return self._effects.view(row, self._clock(), position)

    async def position(self, row: Row) -> int:
        async with across_tenants(self._pool) as connection:
            found = await rows(self._queries.queue_of(connection, org_id=row["org_id"], created_at=row["created_at"], id=row["id"]))
        own = next((each["waiting"] for each in found if each["own"]), 0)
        return queue_position(own, [each["waiting"] for each in found if not each["own"]])

    async def page(self, org_id: str, wanted: Wanted, before: tuple[datetime, str] | None, count: int) -> list[Row]:
        """Newest first, behind `before`."""
        at, last = before or (None, None)
        asked: dict[str, Any] = {
            "org_id": org_id, "labels": json.dumps(dict(wanted.labels or {})), "created_after": wanted.created_after,
            "created_before": wanted.created_before, "before_at": at, "before_id": last, "count": count,
        }  # fmt: skip
        list_them = self._queries.list_exports
        if wanted.statuses or wanted.datasets or wanted.schedule_id or wanted.held or wanted.labels:
            list_them = self._queries.list_exports_by_state
            asked |= {"statuses": list(wanted.statuses or Status), "datasets": list(wanted.datasets or datasets.names())}
        if wanted.held:
            list_them = self._queries.list_exports_held
            asked["schedule_id"] = wanted.schedule_id
        elif wanted.schedule_id:
            list_them = self._queries.list_exports_of_schedule
            asked["schedule_id"] = wanted.schedule_id
        async with tenant(self._pool, org_id, readonly=True) as connection:
            if wanted.labels:
                rarest = await self._rarest(connection, org_id, wanted.labels)
                if rarest["exports"] < RARE or not (wanted.statuses or wanted.held or wanted.schedule_id):
                    list_them = self._queries.list_exports_labelled
                    asked |= {"name": rarest["name"], "value": rarest["value"], "schedule_id": wanted.schedule_id, "held": wanted.held}
            return await rows(list_them(connection, **asked))

    async def _rarest(self, connection: Connection, org_id: str, labels: Mapping[str, str]) -> Row:
        """The label along which to list; one that many carry leads nowhere where a status is rarer."""
        row: Row = await self._queries.rarest_label(connection, org_id=org_id, names=list(labels), values=list(labels.values()), count=RARE)
        return row

    async def remove(self, by: Principal, export_id: str) -> Row | None:
        """Cancel a running export (its row comes back), delete an ended one with its files (None)."""
        now = self._clock()
        async with tenant(self._pool, by.org_id) as connection:
            row = await self._queries.lock_export(connection, id=export_id)
            if row is None:
                raise not_found("The export")
            check_delete(row)
            outcome = await self._effects.apply(connection, row, Cancelled(), now)
            if outcome is None:
                await self._queries.delete_export(connection, id=export_id, now=now)
            noted = audit.entry(by, "export.cancelled" if outcome else "export.deleted", export_id)
            await self._outbox.add(connection, [*(outcome.messages if outcome else [discard(row, files=True)]), noted])
        self._outbox.wake()
        self._releaser.wake()
        return outcome.row if outcome else None

    async def hold(self, by: Principal, export_id: str, reason: str | None) -> Row:
        """Hold a completed export for `reason`, or release it (None); as it is already is no error. Raises ApiError: 404; 409 where there is nothing to hold."""
        async with tenant(self._pool, by.org_id) as connection:
            row: Row | None = await self._queries.lock_export(connection, id=export_id)
            if row is None:
                raise not_found("The export")
            if reason == row["hold_reason"]:
                return row
            if reason is not None:
                upgrades.refuse(self._upgrading, [("reason", True)])  # an older sweeper would take the files away all the same
                check_hold(row)
            who, at = (f"key:{by.key_id}", self._clock()) if reason is not None else (None, None)
            row = await self._queries.hold_export(connection, id=export_id, reason=reason, by=who, at=at)
            assert row is not None
            action = "export.held" if reason is not None else "export.released"
            await self._outbox.add(connection, [audit.entry(by, action, export_id, None, reason or "")])
        self._outbox.wake()
        return row

    async def decide(self, by: Principal, export_id: str, decision: Approved | Rejected) -> Row:
        """Approve an export that waits for it, or reject it. Who has said the same before gets the export as it is. Raises ApiError: 404; 403 for who asked
        for it; 409 where it waits for nothing (any more)."""
        now = self._clock()
        async with tenant(self._pool, by.org_id) as connection:
            row: Row | None = await self._queries.lock_export(connection, id=export_id)
            if row is None:
                raise not_found("The export")
            name = await self._queries.key_name(connection, id=by.key_id, org_id=by.org_id)
            if not check(row, decision, by.key_id, name):
                return row
            actor, messages = f"key:{by.key_id}", []
            kept = {"expires_at": now + (row["expires_at"] - row["created_at"])} if isinstance(decision, Approved) else {}
            outcome = await self._effects.apply(connection, row, decision, now, decided_by=actor, decided_at=now, **kept)
            assert outcome is not None
            if isinstance(decision, Approved) and outcome.row["planned"]:
                messages = await self._assembly.send(connection, outcome.row, None, closes=True)
            action = "export.approved" if isinstance(decision, Approved) else "export.rejected"
            details = {"rows": row["rows_planned"], "requested_by": row["requested_by"]}
            reason = decision.reason if isinstance(decision, Rejected) else ""
            await self._outbox.add(connection, [*outcome.messages, *messages, audit.entry(by, action, export_id, details, reason)])
        self._outbox.wake()
        self._releaser.wake()
        self._planner.go_on()
        return outcome.row

    async def custom_properties(self, org_id: str) -> tuple[CustomProperty, ...]:
        """What the organisation has defined, in order."""
        async with tenant(self._pool, org_id, readonly=True) as connection:
            return organisation_of(await self._queries.organisation(connection)).custom_properties
