"""What deliveries' failures lead to, in their transaction: a notification, and for a schedule's run an event that webhooks tell of."""

from services.delivery.core.notifications import notices
from services.delivery.core.notifications.events import delivery_failed_event
from services.delivery.destinations.telling import Failed, Paused, Resumed
from services.delivery.notifications.store import Feed
from shared.database import Connection
from shared.ids import new_id
from shared.observability import current_traceparent
from shared.outbox import Outbox


class Telling:
    """`Told` of the engine."""

    def __init__(self, feed: Feed, outbox: Outbox) -> None:
        self._feed, self._outbox = feed, outbox

    async def failed(self, connection: Connection, what: Failed) -> None:
        await self._feed.tell(connection, what.org_id, notices.delivery_failed(
            at=what.at, delivery_id=what.delivery_id, export_id=what.export_id, schedule_id=what.schedule_id, type=what.type,
            destination_id=what.destination_id, destination_name=what.destination_name, attempts=what.attempts, code=what.code, message=what.message,
        ))  # fmt: skip
        if what.schedule_id is not None:
            await self._outbox.add(connection, [delivery_failed_event(what, new_id("evt"), current_traceparent())])

    async def paused(self, connection: Connection, what: Paused) -> None:
        await self._feed.tell(connection, what.org_id, notices.destination_paused(
            at=what.at, destination_id=what.destination_id, name=what.destination_name, type=what.type, failures=what.failures,
            failing_since=what.failing_since, code=what.code, message=what.message,
        ))  # fmt: skip

    async def resumed(self, connection: Connection, what: Resumed) -> None:
        notice = notices.destination_resumed(at=what.at, destination_id=what.destination_id, name=what.destination_name, type=what.type)
        await self._feed.tell(connection, what.org_id, notice)
