"""What the SFTP server keeps in PostgreSQL: users, the places of files, failures, host keys."""

import functools
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import aiosql
import asyncpg

from services.delivery.core.sftp.lockout import Counted, Policy
from shared.database import Connection, across_tenants, lock_count, sorted_errors, tenant

Row = Mapping[str, Any]


@functools.cache
def load() -> Any:
    """The named queries of queries.sql."""
    return aiosql.from_path(Path(__file__).with_name("queries.sql"), "asyncpg")


async def rows(found: Any) -> list[Any]:
    return [row async for row in found]


async def place(connection: Connection, org_id: str, export_id: str, format: str, file_number: int, path: str, name: str) -> None:
    """Give an assembled file a place in its organisation's folder `path` (a dataset's) under `name`, in the transaction that publishes it.

    It is seen from the moment when its export is completed until that expires, is deleted or recalled. Doing it again changes nothing.
    """
    await load().place(connection, org_id=org_id, path=path, name=name, export_id=export_id, format=format, file_number=file_number)


class SftpStore:
    """Methods that take a connection belong to the caller's transaction."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool, self._queries = pool, load()

    @asynccontextmanager
    async def transaction(self, org_id: str) -> AsyncIterator[Connection]:
        async with tenant(self._pool, org_id) as connection:
            yield connection

    @asynccontextmanager
    async def own(self) -> AsyncIterator[Connection]:
        """A transaction on what belongs to no organisation."""
        with sorted_errors():
            async with self._pool.acquire(timeout=5) as connection, connection.transaction():
                yield connection

    # ---- users

    async def add_user(self, connection: Connection, org_id: str, user_id: str, body: Row, password: bytes, now: datetime) -> Row | None:
        """None where the name is taken."""
        row: Row | None = await self._queries.add_user(connection, id=user_id, org_id=org_id, password=password, now=now, **body)
        return row

    async def count_users(self, connection: Connection, org_id: str) -> int:
        """No other one is added to them before the transaction ends."""
        await lock_count(connection, "delivery.sftp_users", org_id)
        return int(await self._queries.count_users(connection, org_id=org_id))

    async def users(self, org_id: str, after: tuple[datetime, str] | None, count: int) -> list[Row]:
        at, last = after or (None, None)
        async with tenant(self._pool, org_id, readonly=True) as connection:
            return await rows(self._queries.users(connection, org_id=org_id, after_at=at, after_id=last, count=count))

    async def user(self, org_id: str, user_id: str) -> Row | None:
        async with tenant(self._pool, org_id, readonly=True) as connection:
            row: Row | None = await self._queries.user(connection, id=user_id)
        return row

    async def lock_user(self, connection: Connection, user_id: str) -> Row | None:
        row: Row | None = await self._queries.lock_user(connection, id=user_id)
        return row

    async def save_user(self, connection: Connection, row: Row, changes: Row, now: datetime) -> Row:
        """`row` is locked."""
        values = {name: row[name] for name in ("public_keys", "allowed_networks")} | dict(changes)
        saved: Row = await self._queries.save_user(connection, id=row["id"], now=now, **values)
        return saved

    async def reset_password(self, connection: Connection, user_id: str, password: bytes, now: datetime) -> Row | None:
        row: Row | None = await self._queries.reset_password(connection, id=user_id, password=password, now=now)
        return row

    async def delete_user(self, connection: Connection, user_id: str) -> Row | None:
        row: Row | None = await self._queries.delete_user(connection, id=user_id)
        return row

    # ---- logging in

    async def user_by_name(self, username: str) -> Row | None:
        async with across_tenants(self._pool) as connection:
            row: Row | None = await self._queries.user_by_name(connection, username=username)
        return row

    async def logged_in(self, connection: Connection, user_id: str, now: datetime) -> None:
        await self._queries.logged_in(connection, id=user_id, now=now)

    async def credentials(self, user_ids: Sequence[str]) -> dict[str, datetime]:
        """When each user's credentials were last changed; who isn't there was deleted."""
        async with across_tenants(self._pool) as connection:
            found = await rows(self._queries.credentials(connection, ids=list(user_ids)))
        return {row["id"]: row["credentials_at"] for row in found}

    async def locked_until(self, counted: Counted, now: datetime) -> datetime | None:
        async with self.own() as connection:
            until: datetime | None = await self._queries.locked_until(connection, keys=[counted.pair, counted.source], now=now)
        return until

    async def count_failure(self, counted: Counted, policy: Policy, now: datetime) -> datetime | None:
        """Until when nothing is tried, where it was one too many. The source is counted first, always: rows are locked in one order."""
        limits = ((counted.source, policy.failures_of_source), (counted.pair, policy.failures))
        async with self.own() as connection:
            found = [
                await self._queries.count_failure(connection, key=key, failures_max=most, seconds=policy.seconds, now=now)
                for key, most in limits
            ]
        return max((until for until in found if until), default=None)

    async def forget_failures(self, counted: Counted) -> None:
        async with self.own() as connection:
            await self._queries.forget_failures(connection, key=counted.pair)

    async def prune_failures(self, policy: Policy, now: datetime) -> None:
        async with self.own() as connection:
            await self._queries.prune_failures(connection, before=now - timedelta(seconds=policy.seconds))

    # ---- files

    async def files(self, org_id: str, path: str, after: str, count: int) -> list[Row]:
        async with tenant(self._pool, org_id, readonly=True) as connection:
            return await rows(self._queries.files(connection, path=path, after=after, count=count))

    async def file(self, org_id: str, path: str, name: str) -> Row | None:
        async with tenant(self._pool, org_id, readonly=True) as connection:
            row: Row | None = await self._queries.file(connection, path=path, name=name)
        return row
