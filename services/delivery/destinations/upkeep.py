"""What destinations need now and then: deliveries that have no point any more ended, old ones forgotten, secrets sealed with the present key, the queue measured."""

from datetime import timedelta

import structlog

from services.delivery.destinations.leftovers import Leftovers
from services.delivery.destinations.metrics import HELD, QUEUE_AGE, QUEUED
from services.delivery.destinations.queue import Queue
from services.delivery.upkeep import keep_up
from shared.sealing import CannotOpen, Seal

log = structlog.get_logger()


class Upkeep:
    """A loop that several processes may run at once."""

    def __init__(self, queue: Queue, leftovers: Leftovers, seal: Seal, keep: timedelta) -> None:
        self._queue, self._leftovers, self._seal, self._keep = queue, leftovers, seal, keep

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
        try:
            while again := await self._queue.seal_again(self._seal):
                log.info("destination_secrets_sealed_again", destinations=again)
        except CannotOpen as error:
            log.error("destination_secret_unreadable", reason=str(error))
        await self._leftovers.clear()
        await self._leftovers.clear_deleted()
        if pruned := await self._queue.prune(self._keep):
            log.info("deliveries_pruned", deliveries=pruned)
