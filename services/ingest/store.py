"""Records into versioned rows: one REPEATABLE READ transaction a batch, run again where another writer came first."""

from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import asyncpg
import structlog

from services.ingest.core.fold import Final, Held, fold
from services.ingest.core.records import Record
from services.ingest.metrics import RECORDS, RUNS_AGAIN
from services.ingest.statements import STATEMENTS, Statements, statement
from shared.database import Connection, sorted_errors
from shared.errors import TransientError

log = structlog.get_logger()
RUNS_MAX = 100
Batches = Callable[[], AsyncIterator[Sequence[Record]]]
_OTHER_WRITER = (asyncpg.SerializationError, asyncpg.UniqueViolationError, asyncpg.DeadlockDetectedError)


class UnknownOrganisation(Exception):
    """Records of an organisation that does not exist; nothing of the batch was written."""

    def __init__(self, org_id: str) -> None:
        super().__init__(org_id)
        self.org_id = org_id


class _MustBeAlone(Exception):
    """The batch leaves a tombstone for an id of which nothing is held: run it again under the stronger lock."""


@dataclass(frozen=True)
class Written:
    """What became of a batch, committed."""

    accepted: int
    stale: int


async def prepare(connection: Connection) -> None:
    """For a new connection: its staging tables."""
    for one in STATEMENTS.values():
        await connection.execute(one.create_staging)


class Store:
    """The data's only writer. `pool` has connections that went through `prepare`."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool
        self._known: set[str] = set()

    async def write(self, records: Sequence[Record], org_id: str = "") -> Written:
        """Write one batch; a record that names no organisation is `org_id`'s. Raises UnknownOrganisation, TransientError."""

        async def batches() -> AsyncIterator[Sequence[Record]]:
            yield records

        return await self._persist(batches, org_id, together=False)

    async def write_together(self, batches: Batches, org_id: str = "") -> Written:
        """Write all batches that `batches()` gives in one transaction; it is called again where the transaction has to run again."""
        return await self._persist(batches, org_id, together=True)

    async def _persist(self, batches: Batches, org_id: str, together: bool) -> Written:
        """Run the transaction until no other writer comes first."""
        alone = False
        for _ in range(RUNS_MAX):
            try:
                with sorted_errors():
                    written = await self._run(batches, org_id, alone, together)
            except _MustBeAlone:
                alone = True
            except Exception as error:
                if not isinstance(error.__cause__ or error, _OTHER_WRITER):
                    raise
                RUNS_AGAIN.inc()
            else:
                RECORDS.labels("accepted").inc(written.accepted)
                RECORDS.labels("stale").inc(written.stale)
                return written
        raise TransientError("PostgreSQL: other writers came first every time", "PostgreSQL")

    async def _run(self, batches: Batches, org_id: str, alone: bool, together: bool) -> Written:
        accepted = total = 0
        async with self._transaction(alone) as connection:
            batch = _Batch(connection, self._known, alone, together)
            async for records in batches():
                accepted += await batch.write(records, org_id)
                total += len(records)
        return Written(accepted, total - accepted)

    @asynccontextmanager
    async def _transaction(self, alone: bool) -> AsyncIterator[Connection]:
        async with self._pool.acquire(timeout=5) as connection, connection.transaction(isolation="repeatable_read"):
            await connection.execute(statement("lock_alone" if alone else "lock_shared"))
            yield connection


class _Batch:
    """Writes batches inside a transaction; `shared`: more than one."""

    def __init__(self, connection: Connection, known: set[str], alone: bool, shared: bool) -> None:
        self._connection, self._known, self._alone, self._shared = connection, known, alone, shared

    async def write(self, records: Sequence[Record], default_org_id: str) -> int:
        """Returns how many were accepted."""
        groups: dict[str, dict[str, list[Record]]] = defaultdict(lambda: defaultdict(list))
        for record in records:
            groups[default_org_id if record.org_id is None else record.org_id][record.type].append(record)
        accepted = 0
        for org_id, types in groups.items():
            await self._enter(org_id)
            for name, of_type in types.items():
                accepted += await self._write_type(STATEMENTS[name], org_id, of_type)
        return accepted

    async def _enter(self, org_id: str) -> None:
        await self._connection.fetchval(statement("enter_organisation"), org_id)
        if org_id not in self._known:
            if not await self._connection.fetchval(statement("is_organisation"), org_id):
                raise UnknownOrganisation(org_id)
            self._known.add(org_id)

    async def _write_type(self, sql: Statements, org_id: str, records: list[Record]) -> int:
        rows = await self._connection.fetch(sql.held, org_id, list({r.id for r in records}))
        held = {
            id_: Held("current" if erased is None else "erased" if erased else "gone", version, place)
            for id_, version, place, erased in rows
        }  # fmt: skip
        folded = fold(records, held)
        await self._replace_and_add(sql, org_id, folded.finals)
        await self._bury(sql, org_id, folded.finals)
        return sum(folded.accepted)

    async def _replace_and_add(self, sql: Statements, org_id: str, finals: Sequence[Final]) -> None:
        execute = self._connection.execute
        rows = [(org_id, f.id, f.version, f.before.place, *f.row) for f in finals if f.row is not None]
        if rows:
            await self._connection.copy_records_to_table(sql.staging, schema_name="pg_temp", columns=sql.copied, records=rows)
            if any([f.repeat for f in finals]):
                await execute(sql.drop_unchanged, org_id)
            replaced = sum([row[3] is not None for row in rows])
            if replaced:
                await execute(sql.keep_replaced, org_id)
                await execute(sql.replace_versions, org_id)
            if replaced < len(rows):
                await execute(sql.add_versions, org_id)
            if self._shared:
                await execute(f"TRUNCATE pg_temp.{sql.staging}")
        ended = [f.before.place for f in finals if f.life == "gone" and f.before.place is not None]
        if ended:
            await execute(sql.end_versions, org_id, ended)
            if self._shared:
                await execute(sql.remove_own_versions, org_id, ended)

    async def _bury(self, sql: Statements, org_id: str, finals: Sequence[Final]) -> None:
        """Tombstones, and everything of a person who is erased."""
        buried = [f for f in finals if f.life == "erased" or (f.life == "gone" and f.version is not None)]
        if not self._alone and any([f.before.life == "unknown" for f in buried]):
            raise _MustBeAlone
        known = [f for f in buried if f.before.life in ("gone", "erased")]
        new = [f for f in buried if f.before.life in ("unknown", "current")]
        for query, some in ((sql.change_tombstones, known), (sql.add_tombstones, new)):
            if some:
                columns = [f.id for f in some], [f.version for f in some], [f.life == "erased" for f in some]
                await self._connection.execute(query, org_id, *columns)
        if erased := [f.id for f in finals if f.life == "erased"]:
            await self._connection.execute(sql.erase_versions, org_id, erased)
            if sql.kind.name == "lead":
                await self._connection.execute(statement("erase_scores"), org_id, erased)
        if risen := [f.id for f in finals if f.row is not None and f.before.life == "gone"]:
            await self._connection.execute(sql.remove_tombstones, org_id, risen)
