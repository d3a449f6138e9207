"""A formatter's resident DuckDB with its connection to PostgreSQL: transactions of one organisation, and errors sorted into passing and lasting ones.

A chunk is one PostgreSQL transaction on one connection, so `app.org_id` holds for all of its queries and row-level security keeps tenants apart.
DuckDB runs on one thread: rows stay in the order that PostgreSQL sent them, and a second process is the way to use a second core.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from importlib.resources import files
from typing import Any

import duckdb
import duckdb_extension_postgres_scanner
import pyarrow as pa

from shared.datasets.sql import duck_literal, literal, pulled, session_sql
from shared.errors import PermanentError, TransientError
from shared.formats import macros
from shared.formatting.planned import Planned

_EXTENSION = files(duckdb_extension_postgres_scanner) / "extensions" / f"v{duckdb.__version__}" / "postgres_scanner.duckdb_extension"

_TOO_LONG = re.compile(r"cell_too_long (\[.*\])")

# DuckDB hands on what libpq says, without the SQLSTATE. These are PostgreSQL's and libpq's words for what passes by itself.
_PASSING = (
    "unable to connect", "connection refused", "closed the connection", "server closed", "connection to server", "could not connect", "terminating connection",
    "no connection to the server", "the database system is", "connection has been closed", "connection reset", "too many clients", "too many connections",
    "remaining connection slots", "canceling statement due to", "could not resize shared memory", "deadlock detected", "out of shared memory",
    "broken pipe", "connection timed out", "timeout expired", "ssl syscall", "could not receive data", "could not send data", "no space left", "disk full",
)  # fmt: skip


class Database:
    """One DuckDB connection and one PostgreSQL connection, for one thread. It is opened by what needs it first.

    `memory_mb` is what DuckDB may use. `statement_seconds`: how long PostgreSQL may take for one statement; None: as long as it takes; may change between
    transactions. `any_length`: texts that are longer than a cell takes go through.
    """

    def __init__(self, dsn: str, memory_mb: int, any_length: bool) -> None:
        self._dsn, self._memory_mb, self._any_length = dsn, memory_mb, any_length
        self.statement_seconds: float | None = None
        self._connection: duckdb.DuckDBPyConnection | None = None
        self._local: tuple[str, tuple[int, int]] | None = None
        self._constants: dict[str, str] = {}
        self._held: dict[str, _Held] = {}
        self._planned, self._variables = Planned(), tuple[str, ...]()

    # ---- statements: raise TransientError where PostgreSQL is away, PermanentError where doing it again can't help

    def execute(self, sql: str) -> None:
        with self.sorted_errors():
            self.open().execute(sql)

    def one(self, sql: str) -> str:
        """The text of a query's first value."""
        with self.sorted_errors():
            return str(self.open().execute(sql).fetchone()[0])  # type: ignore[index]

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        with self.sorted_errors():
            return self.open().execute(sql).fetchall()

    # `repeats`: other chunks ask in the same words.

    def table(self, sql: str, *, repeats: bool = False) -> pa.Table:
        with self.sorted_errors():
            return self._run(sql, repeats).to_arrow_table()

    def batches(self, sql: str, rows: int, *, repeats: bool = False) -> Iterator[pa.RecordBatch]:
        """What a query gives as it comes, `rows` at a time; no batch is empty."""
        with self.sorted_errors():
            reader = self._run(sql, repeats).to_arrow_reader(rows)
        while (batch := self._next(reader)) is not None:
            if batch.num_rows:
                yield batch

    def _next(self, reader: pa.RecordBatchReader) -> pa.RecordBatch | None:
        with self.sorted_errors():
            try:
                return reader.read_next_batch()
            except StopIteration:
                return None

    def _run(self, sql: str, repeats: bool) -> duckdb.DuckDBPyConnection:
        """Of a short query planning is most of the time. A plan that names a table is kept once the table's name outlives the transaction."""
        connection = self.open()
        if repeats and all(held.lasts for held in self._held.values()):
            sql = self._planned.statement(connection, sql)
        return connection.execute(sql)

    def known_as(self, name: str, table: pa.Table) -> None:
        """Let statements name an Arrow table, which is read where it lies, until the transaction ends."""
        held = self._held.get(name)
        if held is None or held.schema != table.schema:
            # A plan points to what it reads: it must go before that does.
            self._planned.forget(self.open())
            held = self._held[name] = _Held(table.schema)
            with self.sorted_errors():
                self.open().register(name, held)
        held.table = table

    def let(self, variables: Sequence[str]) -> None:
        """Statements that set variables, which a plan holds as they were."""
        if tuple(variables) != self._variables:
            self._planned.forget(self.open())
            self._variables = tuple(variables)
        for statement in variables:
            self.execute(statement)

    def array(self, name: str, text: str) -> str:
        """A text[] for the statements of this transaction: what the expression that is returned stands for. `text` is PostgreSQL's expression of its text.

        It travels once, and as a value: DuckDB takes milliseconds to read through a long literal, and PostgreSQL does again for each statement that has it.
        The expression is a subquery, so that it is worked out once wherever it stands.
        """
        self._set({name: text}, "")
        return _array(name)

    def arrays(self, names: Sequence[str], query: str) -> dict[str, str]:
        """The same of what a query of one row finds, a text[] (null: none) by each of the names: they stay where they are."""
        self._set({name: f"coalesce(found.{name}, '{{}}')::text" for name in names}, f"from ({query}) found")
        return {name: _array(name) for name in names}

    def _set(self, texts: Mapping[str, str], source: str) -> None:
        kept = ", ".join(f"length(set_config({_setting(name)}, {text}, true)) as n{i}" for i, (name, text) in enumerate(texts.items()))
        with self.sorted_errors():
            self.open().execute("from postgres_query('pg', $1)", [f"select {kept} {source}"]).fetchall()

    def fold(self, constant: str) -> str:
        """A constant expression as its literal, worked out once."""
        if constant not in self._constants:
            self._constants[constant] = duck_literal(self.one(f"select {constant}"))
        return self._constants[constant]

    # ---- transactions

    @contextmanager
    def transaction(self, org_id: str, local: tuple[str, tuple[int, int]]) -> Iterator[None]:
        """A transaction of the organisation, read as the zone and years of `local` say. Temporary tables end with it."""
        self._begin(org_id, local)
        try:
            yield
        except BaseException:
            # Whatever went wrong, what is left of the transaction and the connection isn't worth knowing.
            self.drop()
            raise
        self._end()

    def interrupt(self) -> None:
        """End the statement in hand, if there is one. From any thread; doesn't wait."""
        if (connection := self._connection) is not None:
            connection.interrupt()

    def _begin(self, org_id: str, local: tuple[str, tuple[int, int]]) -> None:
        """A connection that died since the last chunk is replaced once, at once."""
        try:
            self._start(org_id, local)
            return
        except TransientError:
            self.drop()
        except BaseException:
            self.drop()
            raise
        try:
            self._start(org_id, local)
        except BaseException:
            self.drop()
            raise

    def _start(self, org_id: str, local: tuple[str, tuple[int, int]]) -> None:
        connection = self.open()
        if local != self._local:
            try:
                self._planned.forget(connection)  # plans hold what macros were
                connection.execute(macros.local_time(*local))
            except ValueError as error:
                raise PermanentError("bad_plan", str(error)) from error
            self._local = local
        with self.sorted_errors():
            connection.execute(f"attach if not exists {duck_literal(self._dsn)} as pg (type postgres, read_only)")
            connection.execute("begin")
            connection.execute(f"from {pulled(session_sql(org_id))}").fetchall()
            if self.statement_seconds is not None:
                limit = f"select set_config('statement_timeout', '{round(self.statement_seconds * 1000)}', true)"
                connection.execute(f"from {pulled(limit)}").fetchall()

    def open(self) -> duckdb.DuckDBPyConnection:
        """DuckDB with its extension and encoders. PostgreSQL may still be away."""
        if self._connection is None:
            connection = duckdb.connect(config={"threads": 1, "memory_limit": f"{self._memory_mb}MB"})
            # From the package as it lies there: installing it would copy it into a home directory, which a container may not write or map.
            connection.execute(f"load {duck_literal(str(_EXTENSION))}")
            # Facts stream past the joins in their order, dimensions are the side that is built: never the other way round.
            connection.execute("set disabled_optimizers = 'join_order,build_side_probe_side'")
            # A dimension has one row a key; without the check, looking one up is a plain join that keeps the order.
            connection.execute("set scalar_subquery_error_on_multiple_rows = false")
            connection.execute("set arrow_large_buffer_size = true")
            # DuckDB counts 16 bytes for a text of any length here: its default would keep 28,000 whole lines in memory.
            connection.execute("set streaming_buffer_size = '64KB'")
            connection.execute(macros.encoders())
            if self._any_length:
                connection.execute(macros.any_length())
            self._connection, self._local = connection, None
            self._held, self._planned, self._variables = {}, Planned(), tuple[str, ...]()
        return self._connection

    def _end(self) -> None:
        """End the transaction: its temporary tables go with it. Where PostgreSQL is gone by now, so is the connection."""
        if self._connection is not None:
            try:
                self._connection.execute("rollback")
                self._let_go(self._connection)
            except duckdb.Error:
                self.drop()

    def _let_go(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Of what tables held. Names that came up in the transaction went with it: from now on they last."""
        for name, held in self._held.items():
            held.table = held.schema.empty_table()
            if not held.lasts:
                connection.register(name, held)
                held.lasts = True

    def drop(self) -> None:
        if self._connection is not None:
            # A transaction whose PostgreSQL is gone must be rolled back by hand: closing it would end the process.
            with suppress(duckdb.Error):
                self._connection.execute("rollback")
            self._connection.close()
            self._connection = None

    @contextmanager
    def sorted_errors(self) -> Iterator[None]:
        """DuckDB's errors as passing or lasting ones. Their text stays inside: it can hold the DSN or a customer's data."""
        try:
            yield
        except (duckdb.Error, pa.ArrowException, OSError) as error:
            if (too_long := _TOO_LONG.search(str(error))) is not None:
                raise _cell_too_long(too_long[1]) from None
            text = str(error).lower()
            if isinstance(error, duckdb.OutOfMemoryException):
                raise PermanentError("too_large", "A row of this export needs more memory than the formatter has.") from None
            if self.statement_seconds is not None and "canceling statement due to statement timeout" in text:
                raise PermanentError("too_slow", "PostgreSQL took longer for the rows than it may.") from None
            if any(words in text for words in _PASSING):
                raise TransientError("PostgreSQL is not reachable.", "PostgreSQL") from None
            raise PermanentError("format_failed", f"The rows can't be formatted ({type(error).__name__}: {_safe(text)})") from None


class _Held:
    """A table of Arrow's under a name that DuckDB keeps: each time that it is read, whichever is there then (Arrow's C stream interface)."""

    def __init__(self, schema: pa.Schema) -> None:
        self.schema, self.table, self.lasts = schema, schema.empty_table(), False

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return self.table.__arrow_c_stream__(requested_schema)


def _setting(name: str) -> str:
    return literal(f"app.{name}")


def _array(name: str) -> str:
    return f"(select current_setting({_setting(name)})::text[])::text[]"


def _cell_too_long(found: str) -> PermanentError:
    """`found`: the column's header and the row's id (null where several rows share the text), as JSON."""
    header, row = json.loads(found)
    place = f"column '{header}'" + (f" of row '{row}'" if row is not None else "")
    return PermanentError("cell_too_long", f"The text in {place} is longer than a cell takes.")


def _safe(text: str) -> str:
    """The first words of an error of DuckDB's own: what comes after PostgreSQL's or a quoted value stays inside."""
    return text.split('"')[0].split("'")[0].split("\n")[0][:120].strip()
