"""What an organisation sees of its deliveries, and does with them. Another organisation's are not there."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from services.delivery.core.destinations.life import AskedAgain, Status, is_open, step
from services.delivery.core.destinations.problems import Undelivered
from services.delivery.core.destinations.view import whole_delivery_view
from services.delivery.destinations.freight import refuse_gone
from services.delivery.destinations.store import DestinationStore, delivery_of, standing_of
from shared import audit
from shared.errors import conflict, not_found
from shared.http import Principal
from shared.outbox import Outbox

WHAT = "The delivery"


class Deliveries:
    def __init__(self, store: DestinationStore, outbox: Outbox, wake: Callable[[], None], clock: Callable[[], datetime]) -> None:
        self._store, self._outbox, self._wake, self._clock = store, outbox, wake, clock

    async def show(self, org_id: str, delivery_id: str) -> dict[str, Any]:
        found = await self._store.delivery(org_id, delivery_id)
        if found is None:
            raise not_found(WHAT)
        return whole_delivery_view(*found, self._clock())

    async def redeliver(self, by: Principal, delivery_id: str) -> dict[str, Any]:
        """One that was delivered begins anew: all of its files are brought again. One that was given up goes on where it was, and so does one that waits for its next
        attempt: it is tried now.
        Raises ApiError 409 where it can't be."""
        async with self._store.transaction(by.org_id) as connection:
            seen = await self._store.find_delivery(connection, delivery_id)
            if seen is None:
                raise not_found(WHAT)
            destination = await self._store.lock(connection, seen["destination_id"]) if seen["destination_id"] else None
            row = await self._store.lock_delivery(connection, delivery_id)
            if row is None:
                raise not_found(WHAT)
            now = await self._store.now(connection)
            if row["claimed_by"] is not None and row["due_at"] > now:
                raise conflict("The delivery is under way: wait for what comes of it.")
            if seen["destination_id"] and destination is None:
                raise conflict("The destination was deleted: there is nowhere to bring it.")
            if destination is not None and destination["paused_reason"] is not None:
                raise conflict("The destination is paused: resume it, or test it, and what is held is brought.")
            try:
                refuse_gone(standing_of(await self._store.freight(connection, row["export_id"])), now)
            except Undelivered as gone:
                raise conflict(gone.message) from None
            if not is_open(Status(row["status"])):
                await self._store.begin_anew(connection, delivery_id, everything=row["status"] == Status.delivered)
            await self._store.save_delivery(connection, row, step(delivery_of(row), AskedAgain(), now), None, now)
            await self._outbox.add(connection, [audit.entry(by, "delivery.redelivered", delivery_id, {"export_id": row["export_id"]})])
        self._outbox.wake()
        self._wake()
        return await self.show(by.org_id, delivery_id)
