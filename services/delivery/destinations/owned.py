"""What an organisation does with its destinations. Another organisation's are not there."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from services.delivery.core.destinations import bodies
from services.delivery.core.destinations.bodies import Written
from services.delivery.core.destinations.kinds import Kind, Rules
from services.delivery.core.destinations.life import Health, Reason
from services.delivery.core.destinations.problems import Code
from services.delivery.core.destinations.registry import all_kinds
from services.delivery.core.destinations.view import destination_view
from services.delivery.destinations.leftovers import Leftovers
from services.delivery.destinations.store import DestinationStore, Problem, Row, health_of
from services.delivery.destinations.telling import Told, resumed
from shared import audit
from shared.database import Connection
from shared.errors import conflict, not_found
from shared.http import Principal
from shared.ids import new_id
from shared.outbox import Outbox
from shared.paging import Place
from shared.sealing import CannotOpen, Seal

DESTINATIONS_MAX = 50
WHAT = "The destination"
DELETED = Problem(Code.deleted, "The destination was deleted.")


class Destinations:
    """Every call is one transaction, its entry in the audit trail included. `rules` of an organisation: what the operator allows it."""

    def __init__(
        self, store: DestinationStore, seal: Seal, rules: Callable[[str], Rules], told: Told, outbox: Outbox, leftovers: Leftovers,
        wake: Callable[[], None],
    ) -> None:  # fmt: skip
        self._store, self._seal, self._rules, self._told, self._outbox = store, seal, rules, told, outbox
        self._leftovers, self._wake = leftovers, wake

    async def create(self, by: Principal, body: Any) -> dict[str, Any]:
        """Raises ApiError 400 and 422 for the body, 409 where there are too many."""
        kind, written = bodies.new_destination(body, self._rules(by.org_id))
        destination_id = new_id("dst")
        async with self._store.transaction(by.org_id) as connection:
            if await self._store.count(connection, by.org_id) >= DESTINATIONS_MAX:
                raise conflict(f"An organisation has at most {DESTINATIONS_MAX} destinations: delete one that is not needed.")
            sealed, now = self._sealed(destination_id, None, written), await self._store.now(connection)
            row = await self._store.add(connection, by.org_id, destination_id, kind.name, written, sealed, f"key:{by.key_id}", now)
            await self._note(connection, by, "created", destination_id, **_told(row))
        self._outbox.wake()
        return destination_view(row, written.shown_once)

    async def page(self, org_id: str, behind: Place | None, count: int) -> tuple[list[Row], list[dict[str, Any]]]:
        rows = await self._store.listed(org_id, behind, count)
        return rows, [destination_view(row) for row in rows]

    async def show(self, org_id: str, destination_id: str) -> dict[str, Any]:
        row = await self._store.find(org_id, destination_id)
        if row is None:
            raise not_found(WHAT)
        return destination_view(row)

    async def change(self, by: Principal, destination_id: str, body: Any) -> dict[str, Any]:
        """What is under way goes on as it began; the next attempt goes by what holds then."""
        async with self._store.transaction(by.org_id) as connection:
            before = await self._lock(connection, destination_id)
            written = bodies.changed_destination(
                _kind(before),
                before["name"],
                json.loads(before["config"]),
                frozenset(before["secrets"]),
                body,
                self._rules(by.org_id),
            )
            sealed = self._sealed(destination_id, before["sealed"], written)
            row = await self._store.save(connection, destination_id, written, sealed, await self._store.now(connection))
            if changed := _changes(before, row, written):
                await self._note(connection, by, "changed", destination_id, **changed)
        self._outbox.wake()
        self._wake()
        return destination_view(row, written.shown_once)

    async def delete(self, by: Principal, destination_id: str) -> None:
        """What waits for it is cancelled. Raises ApiError 409 where a schedule names it."""
        async with self._store.transaction(by.org_id) as connection:
            row = await self._lock(connection, destination_id, to_delete=True)
            if using := await self._store.schedules_using(connection, by.org_id, destination_id):
                named = ", ".join(f"'{each['name']}' ({each['id']})" for each in using)
                raise conflict(f"The destination is used by schedules: {named}. Change or delete them first.")
            under_way = await self._store.delete(connection, destination_id, DELETED, await self._store.now(connection))
            await self._note(connection, by, "deleted", destination_id, **_told(row))
        self._outbox.wake()
        if not under_way:  # else once that is settled: who brings something would lay it down again
            self._leftovers.take_away(destination_id)

    async def pause(self, by: Principal, destination_id: str) -> dict[str, Any]:
        """Whatever it was paused for before: only resuming it goes on."""
        return await self._set_health(by, destination_id, "paused", lambda health: replace(health, paused=Reason.requested))

    async def resume(self, by: Principal, destination_id: str) -> dict[str, Any]:
        return await self._set_health(by, destination_id, "resumed", lambda health: Health())

    async def _set_health(self, by: Principal, destination_id: str, action: str, change: Callable[[Health], Health]) -> dict[str, Any]:
        async with self._store.transaction(by.org_id) as connection:
            before = await self._lock(connection, destination_id)
            health, after = health_of(before), change(health_of(before))
            if health == after:
                return destination_view(before)
            now = await self._store.now(connection)
            row = await self._store.save_health(connection, before, after, now)
            if health.paused is Reason.failing and after.paused is None:
                await self._told.resumed(connection, resumed(row, now))
            await self._note(connection, by, action, destination_id)
        self._outbox.wake()
        self._wake()
        return destination_view(row)

    # ---- inside

    def _sealed(self, destination_id: str, before: bytes | None, written: Written) -> bytes | None:
        """The secrets that are set now, sealed. What can't be opened any more is given up where all of it is new. Raises ApiError 409 otherwise."""
        if not written.secrets and before is not None:
            return before
        kept: dict[str, str | None] = {}
        if before is not None and written.secrets_set - written.secrets.keys():
            try:
                kept = json.loads(self._seal.open(before, destination_id))
            except CannotOpen:
                raise conflict("The destination's other secrets can't be read any more: give all of them.") from None
        secrets = {name: value for name, value in {**kept, **written.secrets}.items() if value is not None}
        return self._seal.seal(json.dumps(secrets).encode(), destination_id) if secrets else None

    async def _lock(self, connection: Connection, destination_id: str, to_delete: bool = False) -> Row:
        row = await self._store.lock(connection, destination_id, to_delete)
        if row is None:
            raise not_found(WHAT)
        return row

    async def _note(self, connection: Connection, by: Principal, action: str, destination_id: str, **details: Any) -> None:
        await self._outbox.add(connection, [audit.entry(by, f"destination.{action}", destination_id, details)])


def _kind(row: Row) -> Kind:
    return all_kinds()[row["type"]]


def _told(row: Row) -> dict[str, Any]:
    """As the trail may hold it: where it leads, and which secrets are set."""
    return {"type": row["type"], "place": _kind(row).where(json.loads(row["config"])), "secrets": sorted(row["secrets"])}


def _changes(before: Row, after: Row, written: Written) -> Mapping[str, Any]:
    """Which fields are others now; for where it leads, from where to where."""
    old, new = json.loads(before["config"]), json.loads(after["config"])
    fields = sorted(name for name in old.keys() | new.keys() if old.get(name) != new.get(name))
    changed: dict[str, Any] = {"fields": fields} if fields else {}
    where = _kind(before).where
    if where(old) != where(new):
        changed["place"] = {"old": where(old), "new": where(new)}
    if written.secrets:
        changed["secrets"] = sorted(written.secrets)
    return changed | ({"name": True} if before["name"] != after["name"] else {})
