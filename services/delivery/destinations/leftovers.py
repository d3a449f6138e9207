"""What is half there of deliveries that were given up, or that have nowhere to go any more: taken away where that can be done."""

import asyncio
import contextlib
import json
from collections.abc import Iterator, Mapping
from datetime import timedelta

import structlog

from services.delivery.core.destinations.problems import Undelivered
from services.delivery.destinations.carrier import Carrier
from services.delivery.destinations.freight import open_place
from services.delivery.destinations.queue import Queue
from services.delivery.destinations.store import Row
from services.delivery.upkeep import TIDY_SECONDS
from shared.background import Background
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
        self._background = Background()

    async def run(self) -> None:
        """A loop that several processes may run at once: what is taken away already is no trouble. Of its own, as servers that are away take a minute each."""
        while True:
            await self.tidy()
            await asyncio.sleep(TIDY_SECONDS)

    async def close(self) -> None:
        await self._background.end()

    async def clear(self, delivery_id: str) -> None:
        """Of a delivery that has just ended. What can't be taken away now is tried again by `tidy`."""
        with _waiting():
            await self._clear(delivery_id)

    def take_away(self, destination_id: str) -> None:
        """Of a destination that was deleted, at which nobody is: who deleted it doesn't wait for its server."""
        self._background.start("take away what a deleted destination has", self._clear_deleted(destination_id))

    async def tidy(self) -> None:
        """Whatever is left, also of processes that died. Of deleted destinations it is given up after a week: their secrets are kept for it."""
        with _waiting():
            await self._clear()
            await self._clear_deleted()
            if given_up := await self._queue.give_up_leftovers(GIVEN_UP):
                log.warning("leftovers_given_up", destination_ids=given_up)

    async def _clear(self, delivery_id: str | None = None) -> None:
        dead: set[str] = set()
        for row in await self._queue.leftovers(SETTLED, AT_ONCE, delivery_id):
            if row["id"] not in dead and await self._abandon(row, dict(zip(row["names"], row["notes"], strict=True))):
                await self._queue.forget_notes(row)
            else:
                dead.add(row["id"])

    async def _clear_deleted(self, destination_id: str | None = None) -> None:
        for row in await self._queue.leftovers_of_deleted(SETTLED, AT_ONCE, destination_id):
            gone = True
            for notes in json.loads(row["notes"]):
                gone = gone and await self._abandon(row, notes)
            await self._queue.leftovers_tried(row["id"], gone)

    async def _abandon(self, destination: Row, notes: Mapping[str, str]) -> bool:
        try:
            async with asyncio.timeout(SECONDS_MAX):
                await self._carriers[destination["type"]].abandon(open_place(self._seal, destination), notes)
            return True
        except (Undelivered, TransientError, TimeoutError) as error:
            code = str(error.code) if isinstance(error, Undelivered) else type(error).__name__
            log.info("leftovers_stay", destination_id=destination["id"], reason=code)
        except Exception:
            log.exception("abandon_defect", type=destination["type"], destination_id=destination["id"])
        return False


@contextlib.contextmanager
def _waiting() -> Iterator[None]:
    """PostgreSQL is away: the next look finds what is left."""
    try:
        yield
    except TransientError as error:
        log.warning("leftovers_wait", dependency=error.dependency, reason=str(error))
