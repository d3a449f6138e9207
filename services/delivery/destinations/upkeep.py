"""What destinations need now and then: deliveries that have no point any more ended, old ones forgotten, secrets sealed with the present key, the queue measured."""

from datetime import timedelta

import structlog

from services.delivery.destinations.metrics import HELD, QUEUE_AGE, QUEUED
from services.delivery.destinations.queue import Queue
from services.delivery.resealing import keep_sealed
from services.delivery.upkeep import keep_up
from shared.sealing import Seal

log = structlog.get_logger()


class Upkeep:
    """A loop that several processes may run at once."""

    def __init__(self, queue: Queue, seal: Seal, keep: timedelta) -> None:
        self._queue, self._seal, self._keep = queue, seal, keep

    async def run(self) -> None:
        await keep_up(self.look, self.tidy, "destination_upkeep_waits")

    async def look(self) -> None:
        if cancelled := await self._queue.cancel_pointless():
            log.info("deliveries_cancelled", deliveries=cancelled)
        waiting, held, age = await self._queue.facts()
        QUEUED.set(waiting)
        HELD.set(held)
        QUEUE_AGE.set(age)

    async def tidy(self) -> None:
        await keep_sealed("destination", self._queue.sealed, self._seal)
        if pruned := await self._queue.prune(self._keep):
            log.info("deliveries_pruned", deliveries=pruned)
