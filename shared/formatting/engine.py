"""The formatter's engine: pulls a chunk's rows from PostgreSQL and encodes them in DuckDB; no row is touched by Python."""

import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

from shared.datasets import deleted
from shared.datasets import registry as datasets
from shared.datasets.base import Dataset
from shared.datasets.plan import Column, ColumnType, Key, PlanSpec, Redaction
from shared.datasets.redaction import shown
from shared.datasets.reports import Reported
from shared.datasets.sql import Settled, pulled, settled_tables
from shared.datasets.workbooks import Workbook
from shared.errors import PermanentError
from shared.formats import registry as formats
from shared.formats.base import Quiet
from shared.formats.redaction import key_statements, needs_key, pseudonym_key
from shared.formats.workbook import SHEET_ROWS_MAX
from shared.formatting import deltas, sheets
from shared.formatting.chunks import Chunk, compiled, elsewhere, finished, pull, stream, summed, write_rows
from shared.formatting.database import Database
from shared.formatting.parts import ByteSink, DocumentPart, Part, PartResult, PartWriter, RowsShown, SheetsPart, Table, TypedPart
from shared.formatting.quiet import quiet_columns
from shared.formatting.report import measured, report
from shared.formatting.statements import ChunkStatements, compile_chunk, compile_sheet
from shared.formatting.typesetting import typeset

__all__ = ["ByteSink", "FormatEngine", "PartResult"]


class FormatEngine:
    """Formats chunks, one at a time, on one DuckDB connection and one PostgreSQL connection. Make one per thread.

    `dsn` is libpq's (a URL or key=value), of a role that owns nothing. `memory_mb` is what DuckDB may use; pseudonyms are made with keys that follow from `pseudonym_secret`.
    `statement_seconds`: how long PostgreSQL may take for one statement; None: as long as it takes. `any_length`: texts that are longer than a cell takes
    go through, for who looks for them; files are made without.
    """

    def __init__(
        self, dsn: str, memory_mb: int = 384, pseudonym_secret: str = "", statement_seconds: float | None = None, any_length: bool = False
    ) -> None:
        self._database, self._pseudonym_secret = Database(dsn, memory_mb, any_length), pseudonym_secret.encode()
        self.statement_seconds = statement_seconds  # may change from chunk to chunk
        self._lock = threading.Lock()

    def warm_up(self) -> None:
        """Load DuckDB and its extension, so that the first chunk is as fast as the next. PostgreSQL may still be away."""
        with self._lock:
            self._database.open()

    def close(self) -> None:
        with self._lock:
            self._database.drop()

    async def interrupt(self) -> None:
        """End the chunk in hand, if there is one: it fails, and its sinks are aborted. Does not wait."""
        self._database.interrupt()

    def format_chunk(
        self, spec: PlanSpec, org_id: str, snapshot: str, lower: Key | None, upper: Key | None, sinks: Mapping[str, ByteSink]
    ) -> dict[str, PartResult]:
        """Write the rows in (lower, upper] into a sink for each format of `sinks`; the sink's owner completes or aborts it.

        The same arguments give the same bytes, on any worker, at any time. Raises TransientError where PostgreSQL is away (try again with new sinks),
        PermanentError where doing it again can't help (`too_slow`: beyond `statement_seconds`). What a sink raises goes through.
        """
        with self._rows_of(spec, org_id, snapshot, lower, upper) as chunk:
            parts = self._parts(chunk, sinks)
            if spec.since is not None:
                return deltas.write_delta(self._database, chunk, parts)
            if isinstance(chunk.dataset, Workbook):
                return sheets.write_workbook(self._database, chunk, chunk.dataset, parts)
            return self._rows(chunk, parts)

    def format_and_show(
        self, spec: PlanSpec, org_id: str, snapshot: str, lower: Key | None, upper: Key | None, sinks: Mapping[str, ByteSink],
        formats_shown: Collection[str], most: int,
    ) -> tuple[dict[str, PartResult], dict[str, Table]]:  # fmt: skip
        """Both at once, for who needs no more than about how large parts are: `format_chunk`, and the first `most` rows as `show_chunk` gives them in some of the
        formats, each of which shows one table (`sheets.tables_shown`). Rows are found once."""
        with self._rows_of(spec, org_id, snapshot, lower, upper) as chunk:
            rows = {name: RowsShown(most) for name in formats_shown}
            results = self._rows(chunk, self._parts(chunk, sinks), rows)
            tables = {name: r.table(formats.get(name), chunk.dataset.selected(spec, name), spec) for name, r in rows.items()}
        return results, tables

    def show_chunk(self, spec: PlanSpec, org_id: str, snapshot: str, lower: Key | None, upper: Key | None, fmt: str) -> list[Table]:
        """The few rows in (lower, upper] as a file of format `fmt` holds them, of a workbook sheet by sheet. Raises as `format_chunk` does."""
        with self._rows_of(spec, org_id, snapshot, lower, upper) as chunk:
            dataset = chunk.dataset
            if spec.since is not None:
                changed = RowsShown()
                alone = Chunk(dataset, spec.model_copy(update={"formats": [fmt]}), snapshot, lower, upper)
                deltas.write_delta(self._database, alone, {fmt: changed})
                return [changed.table(formats.get(fmt), dataset.selected(spec, fmt), spec)]
            if isinstance(dataset, Workbook):
                found = sheets.each_sheet(self._database, chunk, dataset, [fmt])
                return [self._table(statements, sheet.columns(names), spec, fmt, sheet.name) for sheet, names, statements in found]
            statements = compiled(lambda: compile_chunk(dataset, spec, [fmt], chunk.snapshot, lower, upper, self._database.fold))
            titles = list(dataset.tables(spec, fmt)) if formats.get(fmt).sheeted else []
            title = titles[0] if len(titles) > 1 else None
            return [self._table(statements, dataset.selected(spec, fmt), spec, fmt, title), *self._tables_beside(chunk, fmt)]

    def compare_chunk(
        self, spec: PlanSpec, org_id: str, snapshot: str, lower: Key | None, upper: Key | None, *, backwards: bool = False
    ) -> bytes:
        """What differs between `spec.since` and `snapshot` in (lower, upper], as lines of NDJSON; the spec's first format says which columns.
        `backwards`: from `snapshot` to `spec.since`. Raises as format_chunk."""
        with self._rows_of(spec, org_id, snapshot, lower, upper) as chunk:
            return deltas.compare(self._database, chunk, backwards=backwards)

    @contextmanager
    def _rows_of(self, spec: PlanSpec, org_id: str, snapshot: str, lower: Key | None, upper: Key | None) -> Iterator[Chunk]:
        """A chunk in a transaction of its organisation, with all that the plan's statements need."""
        dataset = _dataset(spec)
        with self._lock:
            self._database.statement_seconds = self.statement_seconds
            with self._database.transaction(org_id, (spec.timezone, _years(dataset, spec, lower, upper))):
                self._key(spec.redaction, org_id)
                yield Chunk(dataset, spec, snapshot if spec.since is not None else self._settled(snapshot), lower, upper)

    def _settled(self, snapshot: str) -> Settled:
        """The snapshot, with the tables of which it sees current rows alone."""
        tables = compiled(lambda: settled_tables(snapshot))
        return Settled(snapshot, self._database.one(f"from {pulled(tables)}").split(","))

    def _key(self, redaction: Redaction | None, org_id: str) -> None:
        """The key of the chunk's pseudonyms, and no other's."""
        if redaction is not None and needs_key(redaction):
            if not self._pseudonym_secret:
                raise PermanentError("no_pseudonym_secret", "The formatter has no secret for pseudonyms: set WAYBILL_PSEUDONYM_SECRET.")
            self._database.let(key_statements(pseudonym_key(self._pseudonym_secret, org_id, redaction.profile)))

    def _parts(self, chunk: Chunk, sinks: Mapping[str, ByteSink]) -> dict[str, Part]:
        document = partial(self._document, chunk)
        return {name: _part(chunk.spec, name, sink, document) for name, sink in sinks.items()}

    def _rows(self, chunk: Chunk, parts: Mapping[str, Part], shown: Mapping[str, Part] | None = None) -> dict[str, PartResult]:
        """A chunk's rows, and behind them, in formats with sheets, what a dataset has beside them. Of the formats in `shown` the rows are looked at on their way."""
        database, dataset, spec = self._database, chunk.dataset, chunk.spec
        sheeted = {name: part for name, part in parts.items() if isinstance(part, SheetsPart)}
        for sheet in sheeted.values():
            sheet.sheet(sheets.BARE, 0)
        typed = [part for part in parts.values() if isinstance(part, TypedPart)]
        apart = bool(typed) and not any(formats.get(name).typed for name in shown or ())  # who looks at a row wants all of it

        def compile_(quiet: Mapping[str, Quiet] | None = None) -> ChunkStatements:
            return compile_chunk(
                dataset, spec, list(parts), chunk.snapshot, chunk.lower, chunk.upper, database.fold, coded=apart, quiet=quiet
            )

        statements = compiled(compile_)
        facts = pull(database, statements)
        if facts is not None and any(formats.get(name).looks_at_texts for name in parts):
            statements = compiled(partial(compile_, quiet_columns(facts.table)))
        for part in typed:
            if facts is not None:
                part.elsewhere(elsewhere(database, statements, facts))
        extent = write_rows(database, chunk, statements, facts, parts, shown)
        beside = sheets.write_beside(database, chunk, sheets.members(database, chunk), sheeted) if sheeted else []
        if not any(
            c.type is ColumnType.json for name in parts if name not in sheeted for c in dataset.chosen(spec, name)
        ):  # where it is counted already
            extent = extent._replace(redacted=summed([extent, *beside]))
        return finished(parts, extent)

    def _document(self, chunk: Chunk, rows: Sequence[bytes]) -> bytes:
        """A report of all of an export's rows, as JSON arrays."""
        dataset, spec = chunk.dataset, chunk.spec
        if not isinstance(dataset, Reported):
            raise PermanentError("bad_plan", f"The plan can't be formatted: {dataset.name} has no report.")
        summary: list[tuple[Any, ...]] = [(), ()]
        if columns := ", ".join(c.sql for c in measured(dataset, spec)):
            summary = self._database.rows(f"select {columns} from {pulled(dataset.summary(spec, chunk.snapshot))} fact order by n")
        return typeset(report(dataset, spec, rows, summary))

    def _tables_beside(self, chunk: Chunk, fmt: str) -> list[Table]:
        """What stands on the sheets behind that of the rows, where the format has sheets."""
        dataset, spec = chunk.dataset, chunk.spec
        if not formats.get(fmt).sheeted or len(dataset.tables(spec, fmt)) == 1:
            return []
        rows, tables = sheets.members(self._database, chunk), []
        for sheet in compiled(lambda: dataset.beside(spec, chunk.snapshot, rows)):
            statements = compiled(partial(compile_sheet, sheet, [], spec, [fmt], self._database.fold))
            columns = [shown(column, spec.redaction) for column in sheet.columns([])]
            tables.append(self._table(statements, columns, spec, fmt, sheet.name))
        return tables

    def _table(self, statements: ChunkStatements, columns: Sequence[Column], spec: PlanSpec, fmt: str, sheet: str | None = None) -> Table:
        rows = RowsShown()
        pull(self._database, statements)
        stream(self._database, statements.rows, statements.counters, {fmt: rows}, tell_keys=False)
        return rows.table(formats.get(fmt), columns, spec, sheet)


def _years(dataset: Dataset, spec: PlanSpec, lower: Key | None, upper: Key | None) -> tuple[int, int]:
    """The years around a chunk's, at most a few: they shape statements, never bytes."""
    first, last = dataset.years(spec, lower, upper)
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
