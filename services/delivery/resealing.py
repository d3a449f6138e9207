"""Secrets that were sealed with an earlier key are sealed with the present one, so that the earlier one can be taken away."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import asyncpg
import structlog

from shared.database import across_tenants
from shared.sealing import PREFIX_BYTES, CannotOpen, Seal

log = structlog.get_logger()
NAMED_MAX = 20


@dataclass(frozen=True)
class Sealed:
    """A table with secrets. `before` finds the next rows behind an id of which one was sealed with another key, locked: their `id`, and each secret; `save` keeps
    them as they are sealed now."""

    pool: asyncpg.Pool
    role: str
    before: Callable[..., Any]
    save: Callable[..., Awaitable[Any]]


async def keep_sealed(what: str, tables: Sequence[Sealed], seal: Seal) -> None:
    """What can't be opened stays as it is, and holds up no others. The log says what came of it: `what` they are secrets of, by the names of its lines."""
    for table in tables:
        again, unreadable = await _seal_again(table, seal)
        if again:
            log.info(f"{what}_secrets_sealed_again", count=again)
        if unreadable:
            reason = "changed, or sealed with a key that is not among WAYBILL_SECRET_KEY and WAYBILL_SECRET_KEYS_OLD"
            log.error(f"{what}_secret_unreadable", reason=reason, count=len(unreadable), ids=unreadable[:NAMED_MAX])


async def _seal_again(table: Sealed, seal: Seal) -> tuple[int, list[str]]:
    """How many rows were, and the ids of those that can't be opened. Page by page, so that no transaction is long."""
    again, unreadable, after = 0, list[str](), ""
    while True:
        async with across_tenants(table.pool, table.role) as connection:
            page = [row async for row in table.before(connection, prefix=seal.prefix, prefix_bytes=PREFIX_BYTES, after=after)]
            for row in page:
                try:
                    sealed = {name: _anew(seal, value, row["id"]) for name, value in row.items() if name != "id"}
                except CannotOpen:
                    unreadable.append(row["id"])
                    continue
                await table.save(connection, id=row["id"], **sealed)
                again += 1
        if not page:
            return again, unreadable
        after = page[-1]["id"]


def _anew(seal: Seal, sealed: bytes | None, owner: str) -> bytes | None:
    return None if sealed is None else seal.seal(seal.open(sealed, owner), owner)
