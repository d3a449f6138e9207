"""Events of export_request that people are told of: an export waits for an approval, a schedule's run failed, windows were skipped."""

from datetime import datetime

from services.delivery.core.notifications.events import AWAITING, TOLD, notice_of, read
from services.delivery.notifications.store import Feed
from services.delivery.webhooks.store import WebhookStore
from shared.consumer import Incoming
from shared.errors import PermanentError


class NotificationIntake:
    """`store` knows whose an export is."""

    def __init__(self, feed: Feed, store: WebhookStore) -> None:
        self._feed, self._store = feed, store

    async def handle(self, message: Incoming) -> None:
        """Raises TransientError (try again) and PermanentError (dead letter). What lies in the topic twice is told once, by its key."""
        kind = message.header("ce_type")
        if kind not in TOLD:
            return
        data = read(message.value)
        org_id = await self._store.organisation_of(data["id"]) if kind == AWAITING else data.get("org_id")
        if org_id is None:
            raise PermanentError("unknown_export", "The event is about an export that does not exist.", "id")
        try:
            notice = notice_of(kind, datetime.fromisoformat(message.header("ce_time")), data)
        except (KeyError, TypeError, ValueError) as error:
            raise PermanentError("invalid_event", f"The event lacks something ({type(error).__name__}).") from error
        async with self._store.transaction(org_id) as connection:
            await self._feed.tell(connection, org_id, notice)
