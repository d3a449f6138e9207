"""What webhooks need now and then: old deliveries forgotten, secrets sealed with the present key, the queue's age measured."""

from datetime import timedelta

import structlog

from services.delivery.resealing import keep_sealed
from services.delivery.upkeep import keep_up
from services.delivery.webhooks.metrics import QUEUE_AGE, QUEUED
from services.delivery.webhooks.queue import Queue
from shared.sealing import Seal

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
        await keep_sealed("webhook", self._queue.sealed, self._seal)
        pruned = await self._queue.prune(self._keep)
        if pruned:
            log.info("webhook_deliveries_pruned", deliveries=pruned)
