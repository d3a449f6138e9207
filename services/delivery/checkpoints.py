"""Signed checkpoints of the audit trail: where each chain ended, once a minute while it grows. Who keeps one elsewhere sees whether the chain was cut or written anew."""

import asyncio
import zlib
from collections.abc import Callable
from datetime import datetime

import asyncpg
import structlog

from services.delivery.core.checkpoint import document
from services.delivery.keyring import Keyring
from services.delivery.queries import load, rows
from shared.database import across_tenants, tenant
from shared.errors import TransientError

log = structlog.get_logger()
EVERY_SECONDS = 60.0
CHAINS_AT_ONCE = 500
LOCK = zlib.crc32(b"delivery.audit_checkpoints")


class Checkpoints:
    """A loop that several processes may run: one at a time signs."""

    def __init__(self, pool: asyncpg.Pool, keyring: Keyring, clock: Callable[[], datetime]) -> None:
        self._pool, self._keyring, self._clock, self._queries = pool, keyring, clock, load()

    async def run(self) -> None:
        while True:
            try:
                while await self.sign() == CHAINS_AT_ONCE:
                    pass
            except TransientError as error:
                log.warning("checkpoints_wait", reason=str(error))
            await asyncio.sleep(EVERY_SECONDS)

    async def sign(self) -> int:
        """Sign the ends of chains that have grown since their last checkpoint; how many there were. Raises TransientError."""
        signer = await self._keyring.signer(None)
        async with across_tenants(self._pool) as connection:
            if not await self._queries.try_checkpoint_lock(connection, key=LOCK):
                return 0
            grown, now = await rows(self._queries.grown_chains(connection, count=CHAINS_AT_ONCE)), self._clock()
            if grown:
                documents = [document(r["org_id"], r["seq"], r["hash"].hex(), now, signer.private) for r in grown]
                await self._queries.add_checkpoints(
                    connection, org_ids=[r["org_id"] for r in grown], seqs=[r["seq"] for r in grown], at=now, documents=documents
                )
        return len(grown)

    async def page(self, org_id: str, before: int | None, count: int) -> list[tuple[int, datetime, str]]:
        """Newest first, older than the one at entry `before`: (seq, at, the signed JSON)."""
        async with tenant(self._pool, org_id, readonly=True) as connection:
            found = await rows(self._queries.checkpoints(connection, org_id=org_id, before=before, count=count))
        return [(r["seq"], r["at"], r["document"]) for r in found]
