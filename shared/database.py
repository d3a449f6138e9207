"""PostgreSQL connections: one pool a service, transactions that belong to one organisation, errors sorted into passing and lasting."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager, contextmanager
from datetime import datetime
from typing import Any, TypeVar
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

import asyncpg

from shared.errors import TransientError

Connection = Any  # an asyncpg connection, pooled or not (asyncpg ships no types)
Time = Callable[[Connection], Awaitable[datetime]]

T = TypeVar("T")

# Classes of SQLSTATE that pass by themselves: connection trouble, out of resources, operator intervention (restart), serialization and deadlock; and
# 28, who may log in and how: somebody mends the password or pg_hba.conf, and no message has become a dead letter meanwhile.
_PASSING_CLASSES = ("08", "28", "53", "57P", "40001", "40P01", "55P03")
_SERVER_SETTINGS = ("role", "search_path", "statement_timeout")
DISPATCHER = "waybill_dispatcher"
CONNECT_SECONDS = 2  # for a new connection: who asked hears in time that PostgreSQL is away


def is_passing(error: BaseException) -> bool:
    """Whether the same statement can succeed later, unchanged."""
    if isinstance(error, asyncpg.PostgresError):
        state = getattr(error, "sqlstate", None) or ""
        return state.startswith(_PASSING_CLASSES)
    # InternalClientError: the server died while nothing was asked of it, and the driver meets its last words where an answer belongs. The pool
    # closes such a connection.
    return isinstance(error, asyncpg.InterfaceError | asyncpg.InternalClientError | OSError | TimeoutError)


@contextmanager
def sorted_errors() -> Any:
    """Turns what passes by itself into TransientError; anything else goes through as it is."""
    try:
        yield
    except Exception as error:
        if is_passing(error):
            raise TransientError(f"PostgreSQL: {type(error).__name__}", "PostgreSQL") from error
        raise


def create_pool(
    dsn: str, service: str, size: int = 8, prepare: Callable[[Connection], Awaitable[None]] | None = None, statement_seconds: float = 60,
    **settings: str,
) -> asyncpg.Pool:  # fmt: skip
    """A pool that connects on first use (so a service starts while PostgreSQL is down); `await pool` opens it. No connection is kept idle at start.

    `dsn` is a URL that shared/settings.py has checked. `statement_seconds`: how long an answer is waited for. `prepare` is run on each new connection; `settings` are server settings of all connections.

    What is set on a connection must be set for a transaction (SET LOCAL, set_config with true, locks that end with it): it comes back as it is, and whoever
    listens on one ends it (ends.py). asyncpg would have everything reset each time, which costs one question more for each transaction.
    """
    return asyncpg.create_pool(
        dsn, min_size=0, max_size=size, timeout=CONNECT_SECONDS, command_timeout=statement_seconds, max_inactive_connection_lifetime=300, init=prepare, reset=_as_it_is,
        server_settings={"application_name": f"waybill-{service}", "timezone": "UTC", **settings},
    )  # fmt: skip


async def _as_it_is(_: Connection) -> None:
    """A transaction that is still open has been rolled back by then."""


def for_libpq(dsn: str) -> str:
    """A URL that asyncpg takes as one that libpq (DuckDB) takes: to the first a parameter may be any server setting, which the second wants in `options`."""
    parts = urlsplit(dsn)
    given = parse_qsl(parts.query, keep_blank_values=True)
    settings = [f"-c {name}={value}" for name, value in given if name in _SERVER_SETTINGS]
    kept = [(name, value) for name, value in given if name not in _SERVER_SETTINGS]
    return urlunsplit(parts._replace(query=urlencode([*kept, *([("options", " ".join(settings))] if settings else [])], quote_via=quote)))


@asynccontextmanager
async def transaction(pool: asyncpg.Pool, begin: str) -> AsyncIterator[Connection]:
    """A transaction that begins by `begin`, in one question however many statements it is; what goes wrong in it leaves nothing behind."""
    with sorted_errors():
        async with pool.acquire(timeout=5) as connection:
            try:
                await connection.execute(begin)
                yield connection
            except BaseException:
                await connection.execute("ROLLBACK")
                raise
            await connection.execute("COMMIT")


@asynccontextmanager
async def savepoint(connection: Connection, keep: bool = True) -> AsyncIterator[None]:
    """A part of a transaction: where it ends by an error, or isn't to `keep`, nothing of it stays, nor of what was set in it."""
    undo = "ROLLBACK TO SAVEPOINT part; RELEASE SAVEPOINT part"
    await connection.execute("SAVEPOINT part")
    try:
        yield
    except BaseException:
        await connection.execute(undo)
        raise
    await connection.execute("RELEASE SAVEPOINT part" if keep else undo)


@asynccontextmanager
async def tenant(pool: asyncpg.Pool, org_id: str, isolation: str = "read_committed", readonly: bool = False) -> AsyncIterator[Connection]:
    """A transaction that sees and writes one organisation's rows only (row-level security on `app.org_id`)."""
    begin = f"BEGIN ISOLATION LEVEL {isolation.replace('_', ' ')}{' READ ONLY' if readonly else ''}"
    org = f"convert_from(decode('{org_id.encode().hex()}', 'hex'), 'UTF8')"  # no text of somebody's in a statement, whatever it is
    async with transaction(pool, f"{begin}; SELECT set_config('app.org_id', {org}, true)") as connection:
        yield connection


@asynccontextmanager
async def across_tenants(pool: asyncpg.Pool, role: str = DISPATCHER) -> AsyncIterator[Connection]:
    """A transaction across organisations, as a role that reaches only the tables granted to it by name."""
    async with transaction(pool, f"BEGIN; SET LOCAL ROLE {role}") as connection:
        yield connection


async def database_now(connection: Connection) -> datetime:
    """PostgreSQL's clock, to the millisecond: one for all processes, whatever their own say. Leases, and what is due when, go by it."""
    now: datetime = await connection.fetchval("SELECT date_trunc('milliseconds', clock_timestamp())")
    return now


async def lock_count(connection: Connection, table: str, org_id: str) -> None:
    """Before an organisation's rows are counted to see whether there may be one more: until the transaction ends, nobody else adds one by the same count."""
    await connection.execute("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", f"{table}/{org_id}")


async def in_time(work: Coroutine[Any, Any, T], seconds: float) -> T:
    """What `work` gives, or TimeoutError after so many seconds, whatever it does then: ending a query of a server that hangs takes as long as the query."""
    task = asyncio.ensure_future(work)
    done, _ = await asyncio.wait({task}, timeout=seconds)
    if not done:
        task.add_done_callback(lambda t: t.cancelled() or t.exception())  # looked at, so that nobody complains of it
        task.cancel()
        raise TimeoutError
    return task.result()


async def ping(pool: asyncpg.Pool) -> None:
    """Raises TransientError where PostgreSQL does not answer."""
    with sorted_errors():
        await pool.fetchval("SELECT 1", timeout=2)
