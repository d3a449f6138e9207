"""Mail that comes back: the delivery that had sent it has failed after all, and who is told of failures is told."""

import asyncpg
import structlog

from services.delivery.core import bounces
from services.delivery.core.destinations.life import CameBack, Status, step
from services.delivery.core.destinations.problems import Code
from services.delivery.core.mail import masked
from services.delivery.destinations.store import COURIER, DestinationStore, Problem, delivery_of, load, rows
from services.delivery.destinations.telling import Failed, Told
from shared.database import across_tenants
from shared.outbox import Outbox

log = structlog.get_logger()


class Bounces:
    """`secret_keys`: the present one first; what earlier ones have signed comes back too."""

    def __init__(self, pool: asyncpg.Pool, store: DestinationStore, told: Told, outbox: Outbox, secret_keys: list[str]) -> None:
        self._pool, self._store, self._told, self._outbox = pool, store, told, outbox
        self._secret_keys = secret_keys

    async def take(self, raw: bytes) -> str | None:
        """The delivery that has failed by it. None where the message isn't a mail of ours that came back for good, or nothing is known of it any more."""
        bounce = next(filter(None, (bounces.read(key, raw) for key in self._secret_keys)), None)
        if bounce is None:
            return None
        delivery_id = bounce.sent.delivery_id
        async with across_tenants(self._pool, COURIER) as connection:
            org_id: str | None = await load().organisation_of_delivery(connection, id=delivery_id)
        if org_id is None or not await self._note(org_id, delivery_id, bounce):
            return None
        log.info("mail_came_back", delivery_id=delivery_id)
        self._outbox.wake()
        return delivery_id

    async def _note(self, org_id: str, delivery_id: str, bounce: bounces.Bounce) -> bool:
        async with self._store.transaction(org_id) as connection:
            now = await self._store.now(connection)
            seen, row = await self._store.find_delivery(connection, delivery_id), await self._store.lock_delivery(connection, delivery_id)
            sent = await rows(load().ledger(connection, delivery_id=delivery_id))
            address = next((each["name"] for each in sent if bounces.mark_of(each["name"]) == bounce.sent.mark), None)
            if seen is None or row is None or address is None:
                return False
            await load().came_back(connection, delivery_id=delivery_id, name=address, place=f"came back: {bounce.why}")
            after = step(delivery_of(row), CameBack(), now)
            if after.status is Status.failed and row["status"] != Status.failed:
                problem = Problem(Code.bounced, f'The mail to {masked(address)} came back: "{bounce.why}".')
                await self._store.save_delivery(connection, row, after, problem, now)
                await self._told.failed(connection, Failed(
                    now, org_id, delivery_id, row["export_id"], row["schedule_id"], row["type"], row["destination_id"], seen["destination_name"],
                    row["attempts"], problem.code, problem.message,
                ))  # fmt: skip
        return True
