"""Records into versioned rows: one transaction a batch, run again where another writer was in its way."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar
from uuid import UUID

import asyncpg

from services.ingest.batch import Batch, MustBeAlone, MustErase
from services.ingest.core.positions import Stretch
from services.ingest.core.records import Record
from services.ingest.metrics import RECORDS, RUNS_AGAIN
from services.ingest.statements import STATEMENTS
from shared.audit import entry, note
from shared.database import Connection, sorted_errors
from shared.errors import TransientError
from shared.http import Principal
from shared.outbox import Outbox

T = TypeVar("T")
RUNS_MAX = 100
Batches = Callable[[], AsyncIterator[Sequence[Record]]]
_OTHER_WRITER = (asyncpg.SerializationError, asyncpg.UniqueViolationError, asyncpg.DeadlockDetectedError)


@dataclass(frozen=True)
class Written:
    """What became of a batch, committed; `repeated` records had been written before, as their offsets say."""

    accepted: int
    stale: int
    repeated: int = 0


async def prepare(connection: Connection) -> None:
    """For a new connection: its staging tables."""
    for one in STATEMENTS.values():
        await connection.execute(one.create_staging)


class Store:
    """The data's only writer. `pool` has connections that went through `prepare`; `on_written` is called after each commit."""

    def __init__(self, pool: asyncpg.Pool, outbox: Outbox, on_written: Callable[[], None] = lambda: None) -> None:
        self._pool, self._outbox, self._on_written = pool, outbox, on_written
        self._known: set[str] = set()

    async def write(self, records: Sequence[Record], org_id: str = "", by: Principal | None = None) -> Written:
        """Write one batch; a record that names no organisation is `org_id`'s. `by`: for the audit trail. Raises UnknownOrganisation, TransientError."""

        async def work(batch: Batch) -> Written:
            accepted = await batch.write(records, org_id)
            return await self._noted(batch, by, Written(accepted, len(records) - accepted))

        return await self._persist(work, several=False, by=by)

    async def _noted(self, batch: Batch, by: Principal | None, written: Written) -> Written:
        """In the audit trail, in the same transaction, where a key's records changed anything."""
        if by is not None and written.accepted:
            details = {"accepted": written.accepted, "stale": written.stale}
            await self._outbox.add(batch.connection, [entry(by, "records.written", "records", details)])
        return written

    async def write_together(self, batches: Batches, org_id: str = "", by: Principal | None = None) -> Written:
        """Write all batches that `batches()` gives in one transaction; it is called again where the transaction has to run again."""

        async def work(batch: Batch) -> Written:
            accepted = total = 0
            async for records in batches():
                accepted += await batch.write(records, org_id)
                total += len(records)
            return await self._noted(batch, by, Written(accepted, total - accepted))

        return await self._persist(work, several=True, by=by)

    async def write_stretches(self, topic_id: UUID, stretches: Sequence[Stretch]) -> Written:
        """Write what a consumer has read, but for what has been written before: by its own former self, or by who took a partition over."""

        async def work(batch: Batch) -> Written:
            for org_id in {record.org_id for stretch in stretches for record in stretch.records}:
                await batch.check_organisation(org_id or "")  # of repeated records too: theirs may be the only dead letter
            before = await batch.claim(topic_id, {stretch.partition: stretch.next_offset for stretch in stretches})
            new = [record for stretch in stretches for record in stretch.behind(before[stretch.partition]).records]
            accepted = await batch.write(new, "")
            return Written(accepted, len(new) - accepted, sum([len(stretch.records) for stretch in stretches]) - len(new))

        return await self._persist(work, several=False)

    async def _persist(self, work: Callable[[Batch], Awaitable[Written]], several: bool, by: Principal | None = None) -> Written:
        written = await self.run(work, several, by)
        self._outbox.wake()
        for outcome in ("accepted", "stale", "repeated"):
            RECORDS.labels(outcome).inc(getattr(written, outcome))
        return written

    async def _note_erasures(self, batch: Batch, principal: Principal | None) -> None:
        """In the audit trail, with the effect: that it was done, and by whom, and not of whom."""
        if batch.erasures:
            await self._outbox.add(batch.connection, [
                entry(principal, "person.erased", id_) if principal else note(org_id, "kafka:", "person.erased", id_) for org_id, id_ in batch.erasures
            ])  # fmt: skip

    async def run(self, work: Callable[[Batch], Awaitable[T]], several: bool = False, principal: Principal | None = None) -> T:
        """Run a transaction until no other writer is in its way; `work` is called anew each time."""
        alone = erasing = False
        for _ in range(RUNS_MAX):
            try:
                with sorted_errors():
                    async with self._pool.acquire(timeout=5) as connection, connection.transaction():
                        batch = Batch(connection, self._known, alone, erasing, several)
                        result = await work(batch)
                        await self._note_erasures(batch, principal)
            except MustBeAlone as must:
                alone, erasing = True, erasing or isinstance(must, MustErase)
            except Exception as error:
                if not isinstance(error.__cause__ or error, _OTHER_WRITER):
                    raise
                alone = True
                RUNS_AGAIN.inc()
            else:
                self._on_written()
                return result
        raise TransientError("PostgreSQL: other writers were in the way every time", "PostgreSQL")
