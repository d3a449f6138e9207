"""GET /v1/exports/{a}/diff/{b}: what differs between two exports, chunk by chunk, with memory that is flat in their size."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import asyncpg

from services.export_request.asking import PLAUSIBLE_ID, organisation_of
from services.export_request.core.delta import base_of
from services.export_request.core.diff import Comparison, comparison
from services.export_request.queries import load
from shared import audit
from shared.database import Connection, tenant
from shared.datasets import registry as datasets
from shared.datasets.sql import session_sql
from shared.errors import ApiError, Detail, PermanentError, unprocessable
from shared.formatting.engine import FormatEngine
from shared.http import Principal
from shared.outbox import Outbox

ROWS_MAX, BYTES_MAX = 5_000, 4 << 20  # of a chunk; of datasets that are added up anew for each: WHOLE_ROWS_MAX
WHOLE_ROWS_MAX = 50_000
AT_ONCE, AT_ONCE_OF_ONE = 4, 2  # streams of this process, and of an organisation among them
QUERY_SECONDS = 60.0
ROWS_OWN = ("too_large", "no_pseudonym_secret")  # what the rows and the settings make impossible
Bounds = tuple[list[str] | None, list[str]]


class Diffs:
    """Compares exports on one engine, which the streams take in turn for each chunk. `engine` makes it."""

    def __init__(self, pool: asyncpg.Pool, outbox: Outbox, engine: Callable[[], FormatEngine]) -> None:
        self._pool, self._outbox, self._queries, self._make = pool, outbox, load(), engine
        self._engine: FormatEngine | None = None
        self._threads = ThreadPoolExecutor(1, thread_name_prefix="diff")
        self._open: Counter[str] = Counter()

    async def close(self) -> None:
        if self._engine is not None:
            await self._engine.interrupt()
        self._threads.shutdown()
        if self._engine is not None:
            self._engine.close()

    async def begin(self, by: Principal, a: str, b: str, purpose: str) -> AsyncIterator[bytes]:
        """The lines, in pieces; call `end` behind them. The first piece is there, and who asked is noted, before this returns.

        Raises ApiError: as `comparison`, 429 where too many are open, 422 for rows that can't be shown.
        """
        self._take(by.org_id)
        try:
            compared = await self._compared(by.org_id, a, b)
            chunks = self._chunks(by.org_id, a, b, compared)
            first = await anext(chunks, b"")
            noted = audit.entry(by, "export.compared", b, {"with": a, "dataset": compared.spec.dataset}, purpose)
            await self._outbox.publish([noted])
        except PermanentError as error:
            self.end(by.org_id)
            if error.code not in ROWS_OWN:
                raise
            raise unprocessable(Detail("b", error.message)) from None
        except BaseException:
            self.end(by.org_id)
            raise
        return _all(first, chunks)

    def end(self, org_id: str) -> None:
        """A stream of the organisation's is over, however it ended."""
        self._open[org_id] -= 1
        if not self._open[org_id]:
            del self._open[org_id]

    def _take(self, org_id: str) -> None:
        if self._open[org_id] >= AT_ONCE_OF_ONE or self._open.total() >= AT_ONCE:
            message = f"At most {AT_ONCE_OF_ONE} comparisons of an organisation run at once, and {AT_ONCE} of all."
            raise ApiError(429, "rate_limited", message, headers={"Retry-After": "5"})
        self._open[org_id] += 1

    async def _compared(self, org_id: str, a: str, b: str) -> Comparison:
        async with tenant(self._pool, org_id, readonly=True) as connection:
            rows = [await self._row(connection, each) for each in (a, b)]
            profiles = organisation_of(await self._queries.organisation(connection)).redaction_profiles
            found = comparison(rows[0], rows[1], profiles)
            since = found.spec.since
            if since is None or since.theirs is not None:
                return found
            await connection.execute(session_sql(org_id))
            few = await connection.fetchval(
                datasets.get(found.spec.dataset).worth_finding(found.spec, found.snapshot), timeout=QUERY_SECONDS
            )
        return replace(found, spec=found.spec.model_copy(update={"since": since.model_copy(update={"found": bool(few)})}))

    async def _row(self, connection: Connection, export_id: str) -> Any:
        return await self._queries.rerun_source(connection, id=export_id) if PLAUSIBLE_ID.fullmatch(export_id) else None

    async def _chunks(self, org_id: str, a: str, b: str, compared: Comparison) -> AsyncIterator[bytes]:
        after: list[str] | None = None
        while (bounds := await self._next(org_id, a, b, compared, after)) is not None:
            lower, after = bounds
            chunk = await asyncio.get_running_loop().run_in_executor(self._threads, self._compare, org_id, compared, lower, after)
            async with tenant(self._pool, org_id, readonly=True) as connection:
                await self._require_seen(connection, a, b)
            yield chunk

    async def _next(self, org_id: str, a: str, b: str, compared: Comparison, after: list[str] | None) -> Bounds | None:
        """Where the next chunk ends; nothing behind the last."""
        dataset = datasets.get(compared.spec.dataset)
        rows, size = (WHOLE_ROWS_MAX, None) if dataset.whole else (ROWS_MAX, BYTES_MAX)
        async with tenant(self._pool, org_id, readonly=True) as connection:
            await connection.execute(session_sql(org_id))
            query = dataset.plan_query(compared.spec, compared.snapshot, after, rows, size)
            row = await connection.fetchrow(query, timeout=QUERY_SECONDS)
            await self._require_seen(connection, a, b)
        return (after, list(row["last_key"])) if row["rows"] else None

    async def _require_seen(self, connection: Connection, a: str, b: str) -> None:
        """What was read is right only if both instants are still there: a person may be erased, and versions be pruned, meanwhile. Raises ApiError 410."""
        for name, export_id in (("a", a), ("b", b)):
            base_of(await self._row(connection, export_id), name)

    def _compare(self, org_id: str, compared: Comparison, lower: list[str] | None, upper: list[str]) -> bytes:
        """In the thread of the engine."""
        if self._engine is None:
            self._engine = self._make()
        return self._engine.compare_chunk(compared.spec, org_id, compared.snapshot, lower, upper, backwards=compared.backwards)


async def _all(first: bytes, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    if first:
        yield first
    async for chunk in chunks:
        if chunk:
            yield chunk
