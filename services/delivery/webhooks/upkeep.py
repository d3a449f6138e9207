"""What webhooks need now and then: old deliveries forgotten, secrets sealed with the present key, the queue's age measured."""

from datetime import timedelta

import structlog

from services.delivery.upkeep import keep_up
from services.delivery.webhooks.metrics import QUEUE_AGE, QUEUED
from services.delivery.webhooks.queue import Queue
from shared.sealing import CannotOpen, Seal

log = structlog.get_logger()


class Upkeep:
    """A loop that several processes may run at once."""

    def __init__(self, queue: Queue, seal: Seal, keep: timedelta) -> None:
        self._queue, self._seal, self._keep = queue, seal, keep

    async def run(self) -> None:
        await keep_up(self.look, self.tidy, "webhook_upkeep_waits")

    async def look(self) -> None:
        waiting, age = await self._queue.facts()
        QUEUED.set(waiting)
        QUEUE_AGE.set(age)

    async def tidy(self) -> None:
        try:
            while again := await self._queue.seal_again(self._seal):
                log.info("webhook_secrets_sealed_again", endpoints=again)
        except CannotOpen as error:
            log.error("webhook_secret_unreadable", reason=str(error))
        pruned = await self._queue.prune(self._keep)
        if pruned:
            log.info("webhook_deliveries_pruned", deliveries=pruned)
