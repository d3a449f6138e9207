"""What is half there of deliveries that were given up, or that have nowhere to go any more: taken away where that can be done."""

import asyncio
import json
from collections.abc import Mapping
from datetime import timedelta

import structlog

from services.delivery.core.destinations.problems import Undelivered
from services.delivery.destinations.carrier import Carrier
from services.delivery.destinations.freight import open_place
from services.delivery.destinations.queue import Queue
from services.delivery.destinations.store import Row
from shared.errors import TransientError
from shared.sealing import Seal

log = structlog.get_logger()
SECONDS_MAX = 60.0
SETTLED = timedelta(minutes=10)  # after which nobody is at it any more
AT_ONCE = 100
GIVEN_UP = timedelta(days=7)


class Leftovers:
    def __init__(self, queue: Queue, seal: Seal, carriers: Mapping[str, Carrier]) -> None:
        self._queue, self._seal, self._carriers = queue, seal, carriers
        self._working: set[asyncio.Task[None]] = set()

    async def clear(self, delivery_id: str | None = None) -> None:
        """Of one delivery that has just ended, or of all whose processes died over it. What can't be taken away now is tried again at the next look."""
        try:
            found = await self._queue.leftovers(SETTLED, AT_ONCE, delivery_id)
            dead: set[str] = set()
            for row in found:
                if row["id"] not in dead and await self._abandon(row, dict(zip(row["names"], row["notes"], strict=True))):
                    await self._queue.forget_notes(row)
                else:
                    dead.add(row["id"])
        except TransientError as error:
            log.warning("leftovers_wait", dependency=error.dependency, reason=str(error))

    async def clear_deleted(self, destination_id: str | None = None) -> None:
        """Of a destination that has just been deleted, or of all of them. Given up after a week: their secrets are kept for it."""
        try:
            for row in await self._queue.leftovers_of_deleted(AT_ONCE, destination_id):
                gone = True
                for notes in json.loads(row["notes"]):
                    gone = gone and await self._abandon(row, notes)
                await self._queue.leftovers_tried(row["id"], gone)
            if given_up := await self._queue.give_up_leftovers(GIVEN_UP):
                log.warning("leftovers_given_up", destinations=given_up)
        except TransientError as error:
            log.warning("leftovers_wait", dependency=error.dependency, reason=str(error))

    def take_away(self, destination_id: str) -> None:
        """Of one that was deleted: nobody waits for it."""
        task = asyncio.create_task(self.clear_deleted(destination_id))
        self._working.add(task)
        task.add_done_callback(self._working.discard)

    async def _abandon(self, destination: Row, notes: Mapping[str, str]) -> bool:
        try:
            async with asyncio.timeout(SECONDS_MAX):
                await self._carriers[destination["type"]].abandon(open_place(self._seal, destination), notes)
            return True
        except (Undelivered, TransientError, TimeoutError) as error:
            log.info("leftovers_stay", destination_id=destination["id"], reason=type(error).__name__)
        except Exception:
            log.exception("abandon_defect", type=destination["type"], destination_id=destination["id"])
        return False
