"""Reconciliations that were asked for, in PostgreSQL."""

import functools
import json
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import aiosql
import asyncpg

from shared import audit
from shared.clock import instant
from shared.database import sorted_errors
from shared.errors import not_found
from shared.ids import new_id
from shared.outbox import Outbox

Row = Mapping[str, Any]
KEPT = 100  # of those that have ended
SCHEDULED = "service:delivery"


@functools.cache
def load() -> Any:
    """The named queries of queries.sql."""
    return aiosql.from_path(Path(__file__).with_name("queries.sql"), "asyncpg", mandatory_parameters=False)


async def rows(found: Any) -> list[Any]:
    return [row async for row in found]


class Reconciliations:
    """Of the operator's, so of no organisation."""

    def __init__(self, pool: asyncpg.Pool, outbox: Outbox, clock: Callable[[], datetime]) -> None:
        self._pool, self._outbox, self._clock, self._queries = pool, outbox, clock, load()

    async def ask(self, repair: bool, address: str) -> dict[str, Any]:
        """For the operator, who is noted in the operator's trail."""
        id_ = new_id("rec")
        with sorted_errors():
            async with self._pool.acquire(timeout=5) as connection, connection.transaction():
                row = await self._queries.add(connection, id=id_, asked_by=audit.OPERATOR, repair=repair, now=self._clock())
                await self._outbox.add(connection, [audit.by_operator("store.reconciled", id_, {"repair": repair}, address)])
        self._outbox.wake()
        return view(row)

    async def one(self, id_: str) -> dict[str, Any]:
        with sorted_errors():
            async with self._pool.acquire(timeout=5) as connection:
                row = await self._queries.one(connection, id=id_)
        if row is None:
            raise not_found("The reconciliation")
        return view(row)

    async def newest(self, count: int) -> list[dict[str, Any]]:
        with sorted_errors():
            async with self._pool.acquire(timeout=5) as connection:
                return [view(row) for row in await rows(self._queries.newest(connection, count=count))]

    # ---- for who does them

    async def add_where_due(self, every: timedelta) -> None:
        now = self._clock()
        with sorted_errors():
            async with self._pool.acquire(timeout=5) as connection:
                await self._queries.add_where_due(connection, id=new_id("rec"), asked_by=SCHEDULED, now=now, since=now - every)

    async def claim(self, seconds: float) -> Row | None:
        with sorted_errors():
            async with self._pool.acquire(timeout=5) as connection:
                row: Row | None = await self._queries.claim(connection, seconds=seconds)
        return row

    async def renew(self, id_: str, seconds: float) -> None:
        with sorted_errors():
            async with self._pool.acquire(timeout=5) as connection:
                await self._queries.renew(connection, id=id_, seconds=seconds)

    async def ended(self, id_: str, report: str | None, error: str | None) -> None:
        with sorted_errors():
            async with self._pool.acquire(timeout=5) as connection:
                await self._queries.ended(connection, id=id_, now=self._clock(), report=report, error=error)
                await self._queries.forget(connection, kept=KEPT)

    async def last_ended(self) -> Row | None:
        with sorted_errors():
            async with self._pool.acquire(timeout=5) as connection:
                row: Row | None = await self._queries.last_ended(connection)
        return row


def view(row: Row) -> dict[str, Any]:
    status = "failed" if row["error"] else "completed" if row["ended_at"] else "running" if row["lease_until"] else "waiting"
    return {
        "id": row["id"], "status": status, "repair": row["repair"], "asked_by": row["asked_by"], "asked_at": instant(row["asked_at"]),
        "ended_at": instant(row["ended_at"]), "report": json.loads(row["report"]) if row["report"] else None, "error": row["error"],
    }  # fmt: skip
