"""The formatter's engine: a resident DuckDB that pulls a chunk's rows from PostgreSQL and encodes them; no row is touched by Python.

A chunk is one PostgreSQL transaction on one connection, so `app.org_id` holds for all of its queries and row-level security keeps tenants apart.
DuckDB runs on one thread: rows stay in the order that PostgreSQL sent them, and a second process is the way to use a second core.
"""

import json
import re
import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from importlib.resources import files
from typing import Any, NamedTuple, TypeVar

import duckdb
import duckdb_extension_postgres_scanner
import pyarrow as pa
import pyarrow.compute as pc

from shared.datasets import deleted
from shared.datasets import registry as datasets
from shared.datasets.base import Dataset
from shared.datasets.plan import Column, ColumnType, Key, PlanSpec, Redaction, Sheet
from shared.datasets.redaction import shown
from shared.datasets.reports import Reported
from shared.datasets.sql import Settled, duck_literal, literal, pulled, session_sql, settled_tables
from shared.datasets.workbooks import Workbook
from shared.errors import PermanentError, TransientError
from shared.formats import macros
from shared.formats import registry as formats
from shared.formats.base import Frame
from shared.formats.fields import FIELDS
from shared.formats.redaction import key_statements, needs_key, pseudonym_key
from shared.formats.workbook import SHEET_ROWS_MAX
from shared.formatting import comparing
from shared.formatting.batches import in_order, text_bytes
from shared.formatting.parts import ByteSink, DocumentPart, Part, PartResult, PartWriter, RowsShown, SheetsPart, Table, TypedPart
from shared.formatting.quiet import quiet_columns
from shared.formatting.report import measured, report
from shared.formatting.row_groups import Coded
from shared.formatting.statements import ChunkStatements, changed_rows, compile_chunk, compile_fields, compile_query, compile_sheet, keys_of
from shared.formatting.typesetting import typeset

__all__ = ["ByteSink", "FormatEngine", "PartResult"]

_EXTENSION = files(duckdb_extension_postgres_scanner) / "extensions" / f"v{duckdb.__version__}" / "postgres_scanner.duckdb_extension"

_TOO_LONG = re.compile(r"cell_too_long (\[.*\])")

# Columns that the rows of a sheet may bring: a line has them all, whether or not its row does.
NAMES_MAX = 5_000

_BARE = Frame(b"", b"", b"", b"")  # of rows that the file's end puts into their place

# Rows a record batch: whole lines in memory at once, so few enough for long ones.
_BATCH_ROWS = 2048

# DuckDB hands on what libpq says, without the SQLSTATE. These are PostgreSQL's and libpq's words for what passes by itself.
_PASSING = (
    "unable to connect", "connection refused", "closed the connection", "server closed", "connection to server", "could not connect", "terminating connection",
    "no connection to the server", "the database system is", "connection has been closed", "connection reset", "too many clients", "too many connections",
    "remaining connection slots", "canceling statement due to", "could not resize shared memory", "deadlock detected", "out of shared memory",
    "broken pipe", "connection timed out", "timeout expired", "ssl syscall", "could not receive data", "could not send data", "no space left", "disk full",
)  # fmt: skip


T = TypeVar("T")


class Extent(NamedTuple):
    """How many rows were written, the first and last of their keys, and what was redacted in them."""

    rows: int
    first: str
    last: str
    redacted: Mapping[str, int]


class FormatEngine:
    """Formats chunks, one at a time, on one DuckDB connection and one PostgreSQL connection. Make one per thread.

    `dsn` is libpq's (a URL or key=value), of a role that owns nothing. `memory_mb` is what DuckDB may use; pseudonyms are made with keys that follow from `pseudonym_secret`.
    `statement_seconds`: how long PostgreSQL may take for one statement; None: as long as it takes. `any_length`: texts that are longer than a cell takes
    go through, for who looks for them; files are made without.
    """

    def __init__(
        self, dsn: str, memory_mb: int = 384, pseudonym_secret: str = "", statement_seconds: float | None = None, any_length: bool = False
    ) -> None:
        self._dsn, self._memory_mb, self._pseudonym_secret = dsn, memory_mb, pseudonym_secret.encode()
        self.statement_seconds, self._any_length = statement_seconds, any_length  # the first: may change from chunk to chunk
        self._connection: duckdb.DuckDBPyConnection | None = None
        self._local: tuple[str, tuple[int, int]] | None = None
        self._constants: dict[str, str] = {}
        self._lock = threading.Lock()

    def warm_up(self) -> None:
        """Load DuckDB and its extension, so that the first chunk is as fast as the next. PostgreSQL may still be away."""
        with self._lock:
            self._open()

    def close(self) -> None:
        with self._lock:
            self._drop()

    async def interrupt(self) -> None:
        """End the chunk in hand, if there is one: it fails, and its sinks are aborted. Does not wait."""
        if (connection := self._connection) is not None:
            connection.interrupt()

    def format_chunk(
        self, spec: PlanSpec, org_id: str, snapshot: str, lower: Key | None, upper: Key | None, sinks: Mapping[str, ByteSink]
    ) -> dict[str, PartResult]:
        """Write the rows in (lower, upper] into a sink for each format of `sinks`; the sink's owner completes or aborts it.

        The same arguments give the same bytes, on any worker, at any time. Raises TransientError where PostgreSQL is away (try again with new sinks),
        PermanentError where doing it again can't help (`too_slow`: beyond `statement_seconds`). What a sink raises goes through.
        """

        def write(connection: duckdb.DuckDBPyConnection, snapshot: str) -> dict[str, PartResult]:
            dataset = _dataset(spec)
            document = partial(self._document, connection, dataset, spec, snapshot)
            parts = {name: _part(spec, name, sink, document) for name, sink in sinks.items()}
            if spec.since is not None:
                return self._delta(connection, dataset, spec, snapshot, lower, upper, parts)
            if isinstance(dataset, Workbook):
                return self._sheets(connection, dataset, spec, snapshot, lower, upper, parts)
            return self._rows(connection, dataset, spec, snapshot, lower, upper, parts)

        return self._with_rows(spec, org_id, snapshot, lower, upper, write)

    def show_chunk(self, spec: PlanSpec, org_id: str, snapshot: str, lower: Key | None, upper: Key | None, fmt: str) -> list[Table]:
        """The few rows in (lower, upper] as a file of format `fmt` holds them, of a workbook sheet by sheet. Raises as `format_chunk` does."""

        def read(connection: duckdb.DuckDBPyConnection, snapshot: str) -> list[Table]:
            dataset = _dataset(spec)
            if spec.since is not None:
                changed = RowsShown()
                alone = spec.model_copy(update={"formats": [fmt]})
                self._delta(connection, dataset, alone, snapshot, lower, upper, {fmt: changed})
                return [changed.table(formats.get(fmt), dataset.selected(spec, fmt), spec)]
            if isinstance(dataset, Workbook):
                sheets = self._each_sheet(connection, dataset, spec, snapshot, lower, upper, [fmt])
                return [
                    self._table(connection, statements, sheet.columns(names), spec, fmt, sheet.name) for sheet, names, statements in sheets
                ]
            statements = self._compiled(lambda: compile_chunk(dataset, spec, [fmt], snapshot, lower, upper, self._fold))
            titles = list(dataset.tables(spec, fmt)) if formats.get(fmt).sheeted else []
            title = titles[0] if len(titles) > 1 else None
            tables = [self._table(connection, statements, dataset.selected(spec, fmt), spec, fmt, title)]
            return tables + self._tables_beside(connection, dataset, spec, snapshot, lower, upper, fmt)

        return self._with_rows(spec, org_id, snapshot, lower, upper, read)

    def _tables_beside(
        self, connection: duckdb.DuckDBPyConnection, dataset: Dataset, spec: PlanSpec, snapshot: str, lower: Key | None, upper: Key | None, fmt: str
    ) -> list[Table]:  # fmt: skip
        """What stands on the sheets behind that of the rows, where the format has sheets."""
        if not formats.get(fmt).sheeted or len(dataset.tables(spec, fmt)) == 1:
            return []
        rows, tables = self._members(connection, dataset, spec, snapshot, lower, upper), []
        for sheet in self._compiled(lambda: dataset.beside(spec, snapshot, rows)):
            statements = self._compiled(partial(compile_sheet, sheet, [], spec, [fmt], self._fold))
            columns = [shown(column, spec.redaction) for column in sheet.columns([])]
            tables.append(self._table(connection, statements, columns, spec, fmt, sheet.name))
        return tables

    def _table(
        self, connection: duckdb.DuckDBPyConnection, statements: ChunkStatements, columns: Sequence[Column], spec: PlanSpec, fmt: str,
        sheet: str | None = None,
    ) -> Table:  # fmt: skip
        rows = RowsShown()
        self._pull(connection, statements)
        self._stream(connection, statements.rows, statements.counters, {fmt: rows}, tell_keys=False)
        return rows.table(formats.get(fmt), columns, spec, sheet)

    def _with_rows(
        self, spec: PlanSpec, org_id: str, snapshot: str, lower: Key | None, upper: Key | None,
        work: Callable[[duckdb.DuckDBPyConnection, str], T],
    ) -> T:  # fmt: skip
        """`work` in a transaction of the organisation, with all that the plan's statements need; it is given the snapshot to read."""
        with self._lock:
            connection = self._begin(org_id, (spec.timezone, _years(spec, lower, upper)))
            try:
                with self._sorted_errors():
                    self._key(connection, spec.redaction, org_id)
                    settled = snapshot if spec.since is not None else self._settled(connection, snapshot)
                done = work(connection, settled)
            except BaseException:
                # Whatever went wrong, what is left of the transaction and the connection isn't worth knowing.
                self._drop()
                raise
            self._end()
            return done

    def _settled(self, connection: duckdb.DuckDBPyConnection, snapshot: str) -> Settled:
        """The snapshot, with the tables of which it sees current rows alone."""
        tables = self._compiled(lambda: settled_tables(snapshot))
        return Settled(snapshot, _one(connection.execute(f"from {pulled(tables)}")).split(","))

    def compare_chunk(
        self, spec: PlanSpec, org_id: str, snapshot: str, lower: Key | None, upper: Key | None, *, backwards: bool = False
    ) -> bytes:
        """What differs between `spec.since` and `snapshot` in (lower, upper], as lines of NDJSON; the spec's first format says which columns.
        `backwards`: from `snapshot` to `spec.since`. Raises as format_chunk."""
        with self._lock:
            connection = self._begin(org_id, (spec.timezone, _years(spec, lower, upper)))
            try:
                with self._sorted_errors():
                    self._key(connection, spec.redaction, org_id)
                text = self._compare(connection, _dataset(spec), spec, snapshot, lower, upper, backwards)
            except BaseException:
                self._drop()
                raise
            self._end()
            return text

    def _compare(
        self, connection: duckdb.DuckDBPyConnection, dataset: Dataset, spec: PlanSpec, snapshot: str, lower: Key | None, upper: Key | None,
        backwards: bool,
    ) -> bytes:  # fmt: skip
        shown = dataset.chosen(spec, spec.formats[0])
        spec = comparing.with_key(dataset, spec)
        columns = dataset.chosen(spec, spec.formats[0])
        now = self._compiled(lambda: compile_fields(dataset.relation(spec, snapshot, lower, upper), columns, spec))
        self._kept(connection, "row_now", now)
        with self._sorted_errors():
            gone = f"select id from {pulled(dataset.gone(spec, snapshot, lower, upper))}"
            ids = _one(connection.execute(f"select array_text(k) from (select _key{now.keys - 1} as k from row_now union {gone})"))
        then = self._compiled(lambda: compile_fields(dataset.before(spec, f"{literal(ids)}::text[]"), columns, spec))
        self._kept(connection, "row_then", then)
        sides = ("row_now", "row_then") if backwards else ("row_then", "row_now")
        with self._sorted_errors():
            found = connection.execute(comparing.lines(*sides, shown, dataset, spec, now.keys, FIELDS.name)).to_arrow_table()
        return b"".join(bytes(text_bytes(batch)) for batch in found.column("line").chunks)

    def _document(
        self, connection: duckdb.DuckDBPyConnection, dataset: Dataset, spec: PlanSpec, snapshot: str, rows: Sequence[bytes]
    ) -> bytes:
        """A report of all of an export's rows, as JSON arrays."""
        if not isinstance(dataset, Reported):
            raise PermanentError("bad_plan", f"The plan can't be formatted: {dataset.name} has no report.")
        summary: list[tuple[Any, ...]] = [(), ()]
        if columns := ", ".join(c.sql for c in measured(dataset, spec)):
            with self._sorted_errors():
                summary = connection.execute(f"select {columns} from {pulled(dataset.summary(spec, snapshot))} fact order by n").fetchall()
        return typeset(report(dataset, spec, rows, summary))

    def _key(self, connection: duckdb.DuckDBPyConnection, redaction: Redaction | None, org_id: str) -> None:
        """The key of the chunk's pseudonyms, and no other's."""
        if redaction is not None and needs_key(redaction):
            if not self._pseudonym_secret:
                raise PermanentError("no_pseudonym_secret", "The formatter has no secret for pseudonyms: set WAYBILL_PSEUDONYM_SECRET.")
            for statement in key_statements(pseudonym_key(self._pseudonym_secret, org_id, redaction.profile)):
                connection.execute(statement)

    def _pull(self, connection: duckdb.DuckDBPyConnection, statements: ChunkStatements) -> pa.Table | None:
        """The chunk's facts, as an Arrow table that DuckDB reads where it lies, and each dimension's rows for the keys that the facts name."""
        if statements.facts is None:
            return None
        with self._sorted_errors():
            facts = connection.execute(statements.facts).to_arrow_table()
            connection.register("fact", facts)
            keys: dict[str, str] = {}
            for table in statements.dimensions:
                column = table.dimension.key
                if table.dimension.keys is None and column not in keys:
                    keys[column] = f"{literal(_one(connection.execute(keys_of(column))))}::text[]"
                connection.execute(table.create(table.dimension.keys or keys[column]))
        return facts

    def _coded(self, connection: duckdb.DuckDBPyConnection, statements: ChunkStatements) -> dict[int, Coded]:
        """The columns whose values stay in the dimensions' tables, which are there."""
        with self._sorted_errors():
            return {
                place: Coded.of(f"{code.dimension}_n", connection.execute(code.read()).to_arrow_table().column("value").combine_chunks())
                for place, code in statements.codes.items()
            }

    def _kept(self, connection: duckdb.DuckDBPyConnection, table: str, statements: ChunkStatements) -> int:
        """Keep the rows of statements as a temporary table; returns how many there are."""
        self._pull(connection, statements)
        with self._sorted_errors():
            connection.execute(f"create temp table {table} as {statements.rows}")
            for dimension in statements.dimensions:
                connection.execute(f"drop table {dimension.dimension.name}")
            return int(_one(connection.execute(f"select count(*) from {table}")))

    def _delta(
        self, connection: duckdb.DuckDBPyConnection, dataset: Dataset, spec: PlanSpec, snapshot: str, lower: Key | None, upper: Key | None,
        parts: Mapping[str, Part],
    ) -> dict[str, PartResult]:  # fmt: skip
        """A delta's chunk: the rows that were written otherwise at the base's instant, or weren't there, and beside each format's part one of what is gone.

        Rows are compared as they are written, in every format: who differs in one is in all.
        """
        rows, gone = {n: p for n, p in parts.items() if n in spec.formats}, {n: p for n, p in parts.items() if n not in spec.formats}
        compared = dataset.compared(spec)
        now = self._compiled(lambda: compile_chunk(dataset, compared, compared.formats, snapshot, lower, upper, self._fold))
        looked_at = self._kept(connection, "row_now", now)
        with self._sorted_errors():
            ids = _one(connection.execute(f"select array_text(k) from (select distinct _key{now.keys - 1} as k from row_now)"))
        then = self._compiled(lambda: compile_query(dataset, dataset.before(compared, f"{literal(ids)}::text[]"), compared, self._fold))
        self._kept(connection, "row_then", then)
        told, changed = spec.redaction is None, changed_rows("row_now", "row_then", now, compared.formats)
        sheeted = {name: part for name, part in rows.items() if isinstance(part, SheetsPart)}
        for part in sheeted.values():
            part.sheet(_BARE, 0)
        written = self._stream(connection, changed, now.counters, rows, tell_keys=told)
        if sheeted:
            with self._sorted_errors():
                keys = _one(connection.execute(f"select array_text_by(_key{now.keys - 1}, _n) from ({changed})"))
            self._beside(connection, dataset, spec, snapshot, f"{literal(keys)}::text[]", sheeted)
        files = deleted.spec_of(dataset, spec)
        missing = self._compiled(
            lambda: compile_query(datasets.get(files.dataset), deleted.query(dataset, spec, snapshot, lower, upper), files, self._fold)
        )
        by_file = {name.removeprefix(deleted.PREFIX): part for name, part in gone.items()}
        lost = self._stream(connection, missing.rows, missing.counters, by_file, tell_keys=told)
        counts = Counter(written.redacted)
        counts.update(deleted.counted(dataset, lost.redacted))
        both = _finished(rows, written) | {f"{deleted.PREFIX}{name}": result for name, result in _finished(by_file, lost).items()}
        return {name: replace(both[name], redacted=dict(counts), unchanged=looked_at - written.rows) for name in parts}

    def _rows(
        self, connection: duckdb.DuckDBPyConnection, dataset: Dataset, spec: PlanSpec, snapshot: str, lower: Key | None, upper: Key | None,
        parts: Mapping[str, Part],
    ) -> dict[str, PartResult]:  # fmt: skip
        """A chunk's rows, and behind them, in formats with sheets, what a dataset has beside them."""
        sheeted = {name: part for name, part in parts.items() if isinstance(part, SheetsPart)}
        for part in sheeted.values():
            part.sheet(_BARE, 0)
        typed = [part for part in parts.values() if isinstance(part, TypedPart)]

        def compile_(quiet: Collection[str] = ()) -> ChunkStatements:
            return compile_chunk(dataset, spec, list(parts), snapshot, lower, upper, self._fold, coded=bool(typed), quiet=quiet)

        statements = self._compiled(compile_)
        facts = self._pull(connection, statements)
        if facts is not None and any(formats.get(name).looks_at_texts for name in parts):
            statements = compile_(quiet_columns(facts))
        for each in typed:
            each.code(self._coded(connection, statements))
        extent = self._stream(connection, statements.rows, statements.counters, parts, tell_keys=spec.redaction is None)
        keys = self._members(connection, dataset, spec, snapshot, lower, upper) if sheeted else ""
        beside = self._beside(connection, dataset, spec, snapshot, keys, sheeted) if sheeted else []
        if not any(
            c.type is ColumnType.json for name in parts if name not in sheeted for c in dataset.chosen(spec, name)
        ):  # where it is counted already
            extent = extent._replace(redacted=_summed([extent, *beside]))
        return _finished(parts, extent)

    def _sheets(
        self, connection: duckdb.DuckDBPyConnection, dataset: Workbook, spec: PlanSpec, snapshot: str, lower: Key | None, upper: Key | None,
        parts: Mapping[str, Part],
    ) -> dict[str, PartResult]:  # fmt: skip
        """A workbook's chunk: one sheet behind the other. Rows and keys are those of the first."""
        extents: list[Extent] = []
        for sheet, names, statements in self._each_sheet(connection, dataset, spec, snapshot, lower, upper, list(parts)):
            columns = [shown(column, spec.redaction) for column in sheet.columns(names)]
            for name, part in parts.items():
                part.sheet(formats.get(name).sheet(sheet.name, columns, not extents), len(columns))
            self._pull(connection, statements)
            extents.append(self._stream(connection, statements.rows, statements.counters, parts, tell_keys=spec.redaction is None))
        return _finished(parts, extents[0]._replace(redacted=_summed(extents)))

    def _beside(
        self, connection: duckdb.DuckDBPyConnection, dataset: Dataset, spec: PlanSpec, snapshot: str, rows: str, parts: Mapping[str, Part]
    ) -> list[Extent]:  # fmt: skip
        """What stands on sheets behind that of the rows, in the formats that have sheets. `rows`: the text[] literal of their keys."""
        extents = []
        for sheet in self._compiled(lambda: dataset.beside(spec, snapshot, rows)):
            for part in parts.values():
                part.sheet(_BARE, 0)
            statements = self._compiled(partial(compile_sheet, sheet, [], spec, list(parts), self._fold))
            self._pull(connection, statements)
            extents.append(self._stream(connection, statements.rows, statements.counters, parts, tell_keys=spec.redaction is None))
        return extents

    def _members(
        self, connection: duckdb.DuckDBPyConnection, dataset: Dataset, spec: PlanSpec, snapshot: str, lower: Key | None, upper: Key | None
    ) -> str:  # fmt: skip
        """The text[] literal of the chunk's keys."""
        members = self._compiled(lambda: dataset.members(spec, snapshot, lower, upper))
        with self._sorted_errors():
            return f"{literal(_one(connection.execute(f'from {pulled(members)}')))}::text[]"

    def _each_sheet(
        self, connection: duckdb.DuckDBPyConnection, dataset: Workbook, spec: PlanSpec, snapshot: str, lower: Key | None, upper: Key | None,
        wanted: Sequence[str],
    ) -> Iterator[tuple[Sheet, list[str], ChunkStatements]]:  # fmt: skip
        """The sheets of a workbook's chunk, each with the names of the columns that its rows bring."""
        rows = self._members(connection, dataset, spec, snapshot, lower, upper)
        for sheet in self._compiled(lambda: dataset.sheets(spec, snapshot, rows)):
            names = self._names(connection, sheet)
            yield sheet, names, self._compiled(partial(compile_sheet, sheet, names, spec, wanted, self._fold))

    def _names(self, connection: duckdb.DuckDBPyConnection, sheet: Sheet) -> list[str]:
        """The columns that the rows of a sheet bring."""
        if sheet.names is None:
            return []
        with self._sorted_errors():
            names = [row[0] for row in connection.execute(f"from {pulled(sheet.names)}").fetchall()]
        if len(names) > NAMES_MAX:
            raise PermanentError(
                "too_many_columns",
                f"The sheet '{sheet.name}' of a file would have {len(names)} columns besides its own, above {NAMES_MAX}: ask for fewer rows a file.",
            )
        return names

    def _compiled(self, compile_: Callable[[], T]) -> T:
        try:
            return compile_()
        except (KeyError, ValueError) as error:
            raise PermanentError("bad_plan", f"The plan can't be formatted: {error}") from error

    def _fold(self, constant: str) -> str:
        """A constant expression as its literal, worked out once."""
        if constant not in self._constants:
            with self._sorted_errors():
                self._constants[constant] = duck_literal(_one(self._open().execute(f"select {constant}")))
        return self._constants[constant]

    def _stream(
        self, connection: duckdb.DuckDBPyConnection, query: str, counters: Sequence[str], parts: Mapping[str, Part],
        *, tell_keys: bool,
    ) -> Extent:  # fmt: skip
        """Write the rows of a query. `tell_keys`: the manifest may say which rows a part begins and ends with; under redaction it would name what the file hides."""
        with self._sorted_errors():
            reader = connection.execute(query).to_arrow_reader(_BATCH_ROWS)
        rows, first, last = 0, "", ""
        redacted = dict.fromkeys(counters, 0)
        for batch in in_order(self._batches(reader)):
            for name, part in parts.items():
                part.take(batch.column(name))
            if tell_keys:
                first = first or _key(batch, 0)
                last = _key(batch, batch.num_rows - 1)
            for i, counter in enumerate(counters):
                redacted[counter] += pc.sum(batch.column(f"_count{i}")).as_py()
            rows += batch.num_rows
        return Extent(rows, first, last, redacted)

    def _batches(self, reader: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
        while (batch := self._next(reader)) is not None:
            if batch.num_rows:
                yield batch

    def _next(self, reader: pa.RecordBatchReader) -> pa.RecordBatch | None:
        with self._sorted_errors():
            try:
                return reader.read_next_batch()
            except StopIteration:
                return None

    def _begin(self, org_id: str, local: tuple[str, tuple[int, int]]) -> duckdb.DuckDBPyConnection:
        """A transaction of the organisation. A connection that died since the last chunk is replaced once, at once."""
        try:
            return self._start(org_id, local)
        except TransientError:
            self._drop()
        except BaseException:
            self._drop()
            raise
        try:
            return self._start(org_id, local)
        except BaseException:
            self._drop()
            raise

    def _start(self, org_id: str, local: tuple[str, tuple[int, int]]) -> duckdb.DuckDBPyConnection:
        connection = self._open()
        if local != self._local:
            try:
                connection.execute(macros.local_time(*local))
            except ValueError as error:
                raise PermanentError("bad_plan", str(error)) from error
            self._local = local
        with self._sorted_errors():
            self._attach(connection)
            connection.execute("begin")
            connection.execute(f"from {pulled(session_sql(org_id))}").fetchall()
            if self.statement_seconds is not None:
                limit = f"select set_config('statement_timeout', '{round(self.statement_seconds * 1000)}', true)"
                connection.execute(f"from {pulled(limit)}").fetchall()
        return connection

    def _open(self) -> duckdb.DuckDBPyConnection:
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
        return self._connection

    def _attach(self, connection: duckdb.DuckDBPyConnection) -> None:
        connection.execute(f"attach if not exists {duck_literal(self._dsn)} as pg (type postgres, read_only)")

    def _end(self) -> None:
        """End the transaction: its temporary tables go with it. Where PostgreSQL is gone by now, so is the connection."""
        if self._connection is not None:
            try:
                self._connection.execute("rollback")
                self._connection.unregister("fact")
            except duckdb.Error:
                self._drop()

    def _drop(self) -> None:
        if self._connection is not None:
            # A transaction whose PostgreSQL is gone must be rolled back by hand: closing it would end the process.
            with suppress(duckdb.Error):
                self._connection.execute("rollback")
            self._connection.close()
            self._connection = None

    @contextmanager
    def _sorted_errors(self) -> Iterator[None]:
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


def _summed(extents: Sequence[Extent]) -> dict[str, int]:
    redacted: Counter[str] = Counter()
    for extent in extents:
        redacted.update(extent.redacted)
    return dict(redacted)


def _finished(parts: Mapping[str, Part], extent: Extent) -> dict[str, PartResult]:
    finished = {name: part.finish(extent.rows, extent.first, extent.last) for name, part in parts.items()}
    return {name: replace(result, redacted=extent.redacted) for name, result in finished.items()}


def _years(spec: PlanSpec, lower: Key | None, upper: Key | None) -> tuple[int, int]:
    """The years around a chunk's, at most a few: they shape statements, never bytes."""
    first, last = _dataset(spec).years(spec, lower, upper)
    return (first - 1, max(first, last) + 1) if last - first < 10 else (last - 5, last + 1)


def _dataset(spec: PlanSpec) -> Dataset:
    try:
        return datasets.get(spec.dataset)
    except KeyError as error:
        raise PermanentError("bad_plan", f"The plan can't be formatted: {error}") from error


def _part(spec: PlanSpec, name: str, sink: ByteSink, document: Callable[[Sequence[bytes]], bytes]) -> Part:
    """The part of a format, or of what is gone in one."""
    if name.startswith(deleted.PREFIX):
        spec, name = deleted.spec_of(_dataset(spec), spec), name.removeprefix(deleted.PREFIX)
    fmt = formats.get(name)
    if fmt.document:
        return DocumentPart(sink, document, fmt.row_separator.encode())
    if fmt.typed:
        return TypedPart(sink, datasets.get(spec.dataset).selected(spec, fmt.name))
    if fmt.sheeted and len(datasets.get(spec.dataset).tables(spec, fmt.name)) > 1:
        return SheetsPart(sink, SHEET_ROWS_MAX)
    return PartWriter(sink, fmt.compressor(spec), fmt.row_separator.encode())


def _cell_too_long(found: str) -> PermanentError:
    """`found`: the column's header and the row's id (null where several rows share the text), as JSON."""
    header, row = json.loads(found)
    place = f"column '{header}'" + (f" of row '{row}'" if row is not None else "")
    return PermanentError("cell_too_long", f"The text in {place} is longer than a cell takes.")


def _key(batch: pa.RecordBatch, row: int) -> str:
    names = [name for name in batch.schema.names if name.startswith("_key")]
    return json.dumps([_key_text(batch.column(name)[row]) for name in names], ensure_ascii=False, separators=(",", ":"))


def _key_text(value: pa.Scalar) -> str:
    if not pa.types.is_timestamp(value.type):
        return str(value.as_py())
    instant = datetime.fromtimestamp(value.value // 1_000_000, UTC).replace(microsecond=value.value % 1_000_000)
    return instant.isoformat(timespec="microseconds")


def _one(result: Any) -> str:
    return str(result.fetchone()[0])


def _safe(text: str) -> str:
    """The first words of an error of DuckDB's own: what comes after PostgreSQL's or a quoted value stays inside."""
    return text.split('"')[0].split("'")[0].split("\n")[0][:120].strip()
