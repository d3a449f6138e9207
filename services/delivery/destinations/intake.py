"""Ends of exports, from `export-events`: each completed one becomes a delivery for each of its destinations, once, and is brought from there."""

from collections.abc import Callable

from services.delivery.core.destinations.life import Status
from services.delivery.core.destinations.problems import Code
from services.delivery.core.destinations.wanted import SMALL_BYTES_MAX, Wanted, wanted_of
from services.delivery.core.webhooks.events import Event, event_of, type_of
from services.delivery.destinations.metrics import ENDED
from services.delivery.destinations.queue import GONE_MEANWHILE
from services.delivery.destinations.store import DestinationStore, NewDelivery, Problem, Row
from services.delivery.destinations.telling import Failed, Told
from shared.consumer import Incoming
from shared.database import Connection
from shared.errors import PermanentError
from shared.observability import current_traceparent
from shared.outbox import Outbox

COMPLETED = "export.completed"
OVER = ("export.expired", "export.recalled")
GONE = Problem(Code.gone, GONE_MEANWHILE)
DELETED = Problem(Code.deleted, "The destination that the request named was deleted.")


class DestinationIntake:
    """`wake` is told when there is something to bring."""

    def __init__(self, store: DestinationStore, told: Told, outbox: Outbox, public_url: str, wake: Callable[[], None]) -> None:
        self._store, self._told, self._outbox = store, told, outbox
        self._public_url, self._wake = public_url, wake

    async def handle(self, message: Incoming) -> None:
        """Raises TransientError (try again) and PermanentError (dead letter)."""
        kind = type_of(message.header("ce_type"))
        if kind != COMPLETED and kind not in OVER:
            return
        event = event_of(kind, message.header("ce_id"), message.header("ce_time"), message.value, self._public_url)
        org_id = await self._store.organisation_of(event.export_id)
        if org_id is None:
            raise PermanentError("unknown_export", "The event is about an export that does not exist.", "id")
        async with self._store.transaction(org_id) as connection:
            if kind in OVER:
                await self._store.cancel_of_export(connection, event.export_id, GONE, await self._store.now(connection))
                return
            made = await self._record(connection, org_id, event)
        if made:
            self._wake()
            self._outbox.wake()

    async def _record(self, connection: Connection, org_id: str, event: Event) -> int:
        """How many deliveries were made. The event is claimed by its own id: it may lie in the topic twice."""
        export = await self._store.export(connection, event.export_id)
        wanted = wanted_of(org_id, export["destinations"]) if export else []
        if export is None or not wanted or not await self._store.inbox.claim(connection, f"destinations/{event.id}"):
            return 0
        known = await self._store.share(connection, [each.destination_id for each in wanted if each.destination_id])
        made = [await self._add(connection, export, event, each, known.get(each.destination_id or "")) for each in wanted]
        return sum(made)

    async def _add(self, connection: Connection, export: Row, event: Event, wanted: Wanted, destination: Row | None) -> bool:
        now = await self._store.now(connection)
        new = NewDelivery(
            export["org_id"], event.export_id, export["schedule_id"], wanted.destination_id, wanted.key, wanted.type, event.payload,
            export["bytes"] <= SMALL_BYTES_MAX, export["in_order"], current_traceparent(), wanted.recipients,
        )  # fmt: skip
        missing = wanted.destination_id is not None and destination is None
        paused = destination is not None and destination["paused_reason"] is not None
        status = Status.failed if missing else Status.held if paused else Status.pending
        delivery_id = await self._store.add_delivery(connection, new, status, DELETED if missing else None, now)
        if delivery_id is not None and missing:
            ENDED.labels(wanted.type, status).inc()
            await self._told.failed(connection, Failed(
                now, new.org_id, delivery_id, new.export_id, new.schedule_id, new.type, new.destination_id, None, 0, DELETED.code, DELETED.message
            ))  # fmt: skip
        return delivery_id is not None
