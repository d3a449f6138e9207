"""What is stored of the audit trail: appending in batches, reading."""

import functools
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import aiosql
import asyncpg

from services.export_request.core.auditing import Noted, chained, noted, view
from services.export_request.queries import rows
from shared.audit_chain import Head
from shared.codec import decode
from shared.consumer import Incoming
from shared.database import across_tenants, tenant
from shared.errors import PermanentError, TransientError
from shared.messages import AuditEntry

AUDITOR = "waybill_auditor"
EXPORTED_AT_ONCE = 1_000

Refused = list[tuple[Incoming, PermanentError]]


@functools.cache
def load() -> Any:
    """The named queries of queries.sql."""
    return aiosql.from_path(Path(__file__).with_name("queries.sql"), "asyncpg")


@dataclass(frozen=True)
class Wanted:
    """What a list shows: entries in [from_at, to_at), and of these names; `action` also by what is before its dot (`export`)."""

    action: str | None = None
    actor: str | None = None
    subject: str | None = None
    from_at: datetime | None = None
    to_at: datetime | None = None


class Trail:
    """The chains. One consumer writes a chain at a time (a topic's key is its organisation); where two do for a moment, one of them tries again."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool, self._queries = pool, load()

    async def take(self, messages: Sequence[Incoming]) -> Refused:
        """Append what the messages say, each once however often it comes; gives back what is no entry. Raises TransientError."""
        entries: dict[str, Noted] = {}
        refused: Refused = []
        for message in messages:
            try:
                entry = _read(message)
                entries.setdefault(entry.message_id, entry)
            except PermanentError as error:
                refused.append((message, error))
        if entries:
            await self._append(entries)
        return refused

    async def _append(self, entries: Mapping[str, Noted]) -> None:
        try:
            async with across_tenants(self._pool, AUDITOR) as connection:
                known = {row["message_id"] for row in await rows(self._queries.known(connection, message_ids=list(entries)))}
                new = [each for message_id, each in entries.items() if message_id not in known]
                found = await rows(self._queries.heads(connection, org_ids=sorted({each.org_id for each in new})))
                heads = {row["org_id"]: Head(row["seq"], row["hash"].hex()) for row in found if row["seq"] is not None}
                links = chained(heads, new)
                if links:
                    await self._queries.append(
                        connection, org_ids=[k.noted.org_id for k in links], seqs=[k.seq for k in links], ats=[k.noted.at for k in links],
                        actors=[k.noted.actor for k in links], addresses=[k.noted.address for k in links], actions=[k.noted.action for k in links],
                        subjects=[k.noted.subject for k in links], details=[k.noted.details for k in links],
                        purposes=[k.noted.purpose for k in links], prev_hashes=[k.prev_hash for k in links], hashes=[k.hash for k in links],
                        message_ids=[k.noted.message_id for k in links],
                    )  # fmt: skip
        except asyncpg.UniqueViolationError as error:  # somebody else has appended meanwhile, perhaps the same
            raise TransientError("PostgreSQL: another process appends to the same chain", "PostgreSQL") from error

    # ---- reading

    async def newest(self, org_id: str, wanted: Wanted, before: int | None, count: int) -> list[dict[str, Any]]:
        """Newest first, older than entry `before`."""
        async with tenant(self._pool, org_id, readonly=True) as connection:
            found = await rows(self._queries.newest(
                connection, org_id=org_id, action=wanted.action, actor=wanted.actor, subject=wanted.subject, from_at=wanted.from_at,
                to_at=wanted.to_at, before=before, count=count,
            ))  # fmt: skip
        return [view(row) for row in found]

    async def head(self, org_id: str) -> Head:
        async with tenant(self._pool, org_id, readonly=True) as connection:
            row = await self._queries.head(connection, org_id=org_id)
        return Head(row["seq"], row["hash"].hex()) if row else Head()

    async def following(self, org_id: str, after: int, until: int) -> AsyncIterator[list[dict[str, Any]]]:
        """Entries behind `after` up to `until`, oldest first, in pieces; no transaction stays open between two of them."""
        while after < until:
            async with tenant(self._pool, org_id, readonly=True) as connection:
                found = await rows(self._queries.following(connection, org_id=org_id, after=after, until=until, count=EXPORTED_AT_ONCE))
            if not found:
                return
            yield [view(row) for row in found]
            after = found[-1]["seq"]


def _read(message: Incoming) -> Noted:
    entry = decode(message.value)
    if not isinstance(entry, AuditEntry):
        raise PermanentError("undecodable", f"{type(entry).__name__} does not belong on this topic.")
    return noted(message.message_id, entry)
