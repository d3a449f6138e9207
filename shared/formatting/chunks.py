"""A chunk's rows: pulled from PostgreSQL with their dimensions, kept for comparing, or streamed into parts."""

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import NamedTuple, TypeVar

import pyarrow as pa
import pyarrow.compute as pc

from shared.datasets.base import Dataset
from shared.datasets.plan import Key, PlanSpec
from shared.datasets.sql import literal
from shared.errors import PermanentError
from shared.formatting.batches import array_text, in_order
from shared.formatting.coding import Numbers, attached
from shared.formatting.database import Database
from shared.formatting.parts import Part, PartResult, TypedPart
from shared.formatting.row_groups import Values
from shared.formatting.statements import ChunkStatements

# Rows a record batch: whole lines in memory at once, so few enough for long ones.
BATCH_ROWS = 2048
# Of rows that are kept until the last one anyway.
BATCH_ROWS_KEPT = 122_880

T = TypeVar("T")


@dataclass(frozen=True)
class Chunk:
    """The rows of a plan in (lower, upper], as a snapshot sees them."""

    dataset: Dataset
    spec: PlanSpec
    snapshot: str
    lower: Key | None
    upper: Key | None

    @property
    def bounds(self) -> tuple[PlanSpec, str, Key | None, Key | None]:
        """What a dataset's methods are asked with."""
        return self.spec, self.snapshot, self.lower, self.upper

    @property
    def tells_keys(self) -> bool:
        """Whether a manifest may say which rows a part begins and ends with: under redaction it would name what the file hides."""
        return self.spec.redaction is None


class Extent(NamedTuple):
    """How many rows were written, the first and last of their keys, and what was redacted in them."""

    rows: int
    first: str
    last: str
    redacted: Mapping[str, int]


def compiled(compile_: Callable[[], T]) -> T:
    """What a plan comes to. Raises PermanentError `bad_plan`."""
    try:
        return compile_()
    except (KeyError, ValueError) as error:
        raise PermanentError("bad_plan", f"The plan can't be formatted: {error}") from error


class Facts(NamedTuple):
    """A chunk's facts, which DuckDB reads where they lie, and their columns that are keys of dimensions, each as numbers of its distinct values."""

    table: pa.Table
    keys: Mapping[str, pa.DictionaryArray]
    place: tuple[str, ...]

    def place_of(self, row: int) -> str:
        """Where a row stands in the dataset's order, as a manifest shows it."""
        return _key([self.table.column(name)[row] for name in self.place])


def pull(database: Database, statements: ChunkStatements) -> Facts | None:
    """The chunk's facts, where there is more than them, and each dimension's rows for the keys that the facts name."""
    if statements.facts is None:
        return None
    table = database.table(statements.facts)
    for name, query in statements.attached.items():
        table = table.append_column(name, attached(table.column(statements.place[-1]), database.table(query)))
    database.known_as("fact", table)
    keys: dict[str, pa.DictionaryArray] = {}
    arrays: dict[str, str] = {}
    for dimension, select in ((each.dimension, each.select) for each in statements.dimensions):
        if dimension.keys is None and dimension.key not in keys:
            keys[dimension.key] = table.column(dimension.key).combine_chunks().dictionary_encode()
            arrays[dimension.key] = database.array(dimension.key, literal(array_text(keys[dimension.key].dictionary)))
        rows = database.table(select(dimension.keys or arrays[dimension.key]), repeats=dimension.keys is None)
        database.known_as(dimension.name, rows)
    return Facts(table, keys, statements.place)


def elsewhere(database: Database, statements: ChunkStatements, facts: Facts) -> dict[int, Values]:
    """The columns of a typed format that aren't in its rows. Of those whose values stand in the dimensions' tables, which are there: the values once, and for
    each fact which of them it has."""
    found: dict[int, Values] = {place: facts.table.column(name) for place, name in statements.straight.items()}
    for dimension in dict.fromkeys(code.dimension for code in statements.codes.values()):
        fields = {place: code.field for place, code in statements.codes.items() if code.dimension == dimension}
        rows = database.table(f"select {', '.join([str(dimension.by), *dict.fromkeys(fields.values())])} from {dimension.name}")
        numbers = Numbers.of(facts.keys[dimension.key], rows.column(0).combine_chunks())
        found |= {place: numbers.coded(rows.column(name).combine_chunks()) for place, name in fields.items()}
    return found


def keep(database: Database, table: str, statements: ChunkStatements) -> int:
    """Keep the rows of statements as a temporary table; returns how many there are."""
    pull(database, statements)
    database.execute(f"create temp table {table} as {statements.rows}")
    return int(database.one(f"select count(*) from {table}"))


def write_rows(
    database: Database, chunk: Chunk, statements: ChunkStatements, facts: Facts | None, parts: Mapping[str, Part],
    shown: Mapping[str, Part] | None = None,
) -> Extent:  # fmt: skip
    """Write a chunk's rows into its parts. `shown`: who looks on, of some of the formats."""
    batch_rows = BATCH_ROWS_KEPT if all(isinstance(part, TypedPart) for part in parts.values()) else BATCH_ROWS
    written = partial(stream, database, counters=statements.counters, parts=parts, batch_rows=batch_rows, shown=shown)
    if facts is None:
        return written(query=statements.rows, tell_keys=chunk.tells_keys)
    extent = written(query=statements.unplaced, tell_keys=False, repeats=True)
    if chunk.tells_keys and extent.rows:
        return extent._replace(first=facts.place_of(0), last=facts.place_of(extent.rows - 1))
    return extent


def stream(
    database: Database, query: str, counters: Sequence[str], parts: Mapping[str, Part], *, tell_keys: bool, batch_rows: int = BATCH_ROWS,
    shown: Mapping[str, Part] | None = None, repeats: bool = False,
) -> Extent:  # fmt: skip
    """Write the rows of a query. `shown`: who looks on, of some of the formats. `repeats`: other chunks ask in the same words."""
    rows, first, last = 0, "", None
    redacted = dict.fromkeys(counters, 0)
    for batch in in_order(database.batches(query, batch_rows, repeats=repeats)):
        for name, part in (*parts.items(), *(shown or {}).items()):
            part.take(batch.column(name))
        if tell_keys:
            first, last = first or _place(batch, 0), batch
        for i, counter in enumerate(counters):
            redacted[counter] += pc.sum(batch.column(f"_count{i}")).as_py()
        rows += batch.num_rows
    return Extent(rows, first, _place(last, last.num_rows - 1) if last is not None else "", redacted)


def summed(extents: Sequence[Extent]) -> dict[str, int]:
    """What was redacted in all of them."""
    redacted: Counter[str] = Counter()
    for extent in extents:
        redacted.update(extent.redacted)
    return dict(redacted)


def finished(parts: Mapping[str, Part], extent: Extent) -> dict[str, PartResult]:
    """The parts as written, now that all rows are in them."""
    ended = {name: part.finish(extent.rows, extent.first, extent.last) for name, part in parts.items()}
    return {name: replace(result, redacted=extent.redacted) for name, result in ended.items()}


def _place(batch: pa.RecordBatch, row: int) -> str:
    return _key([batch.column(name)[row] for name in batch.schema.names if name.startswith("_key")])


def _key(values: Sequence[pa.Scalar]) -> str:
    return json.dumps([_key_text(value) for value in values], ensure_ascii=False, separators=(",", ":"))


def _key_text(value: pa.Scalar) -> str:
    if not pa.types.is_timestamp(value.type):
        return str(value.as_py())
    instant = datetime.fromtimestamp(value.value // 1_000_000, UTC).replace(microsecond=value.value % 1_000_000)
    return instant.isoformat(timespec="microseconds")
