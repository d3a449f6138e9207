"""Events from `export-events`: each is recorded once for every endpoint that wants it, and sent from there."""

from collections.abc import Callable

from services.delivery.core.webhooks.events import Event, event_of, hears, type_of
from services.delivery.webhooks.metrics import EVENTS
from services.delivery.webhooks.store import WebhookStore
from shared.consumer import Incoming
from shared.errors import PermanentError
from shared.observability import current_traceparent


class WebhookIntake:
    """`wake` is told when there is something to send."""

    def __init__(self, store: WebhookStore, public_url: str, wake: Callable[[], None]) -> None:
        self._store, self._public_url, self._wake = store, public_url, wake

    async def handle(self, message: Incoming) -> None:
        """Raises TransientError (try again) and PermanentError (dead letter)."""
        kind = type_of(message.header("ce_type"))
        if kind is None:
            return
        event = event_of(kind, message.header("ce_id"), message.header("ce_time"), message.value, self._public_url)
        org_id = await self._store.organisation_of(event.export_id)
        if org_id is None:
            raise PermanentError("unknown_export", "The event is about an export that does not exist.", "id")
        if await self._record(org_id, event):
            EVENTS.labels(event.type).inc()
            self._wake()

    async def _record(self, org_id: str, event: Event) -> int:
        """How many endpoints are told. The event is claimed by its own id: it may lie in the topic twice."""
        told = 0
        async with self._store.transaction(org_id) as connection:
            wanted = [e for e in await self._store.subscribers(connection, event.type) if hears(e["events"], e["created_at"], event)]
            if not wanted or not await self._store.inbox.claim(connection, f"webhooks/{event.id}"):
                return 0
            now = await self._store.now(connection)
            for endpoint in wanted:
                told += await self._store.add_delivery(connection, org_id, endpoint, event, current_traceparent(), now)
        return told
