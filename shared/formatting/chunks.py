"""A chunk's rows: pulled from PostgreSQL with their dimensions, kept for comparing, or streamed into parts."""

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import NamedTuple, TypeVar

import pyarrow as pa
import pyarrow.compute as pc

from shared.datasets.base import Dataset
from shared.datasets.plan import Key, PlanSpec
from shared.datasets.sql import literal
from shared.errors import PermanentError
from shared.formatting.batches import array_text, in_order
from shared.formatting.database import Database
from shared.formatting.parts import Part, PartResult
from shared.formatting.row_groups import Coded
from shared.formatting.statements import ChunkStatements, read_coded

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


def pull(database: Database, statements: ChunkStatements) -> pa.Table | None:
    """The chunk's facts, as an Arrow table that DuckDB reads where it lies, and each dimension's rows for the keys that the facts name."""
    if statements.facts is None:
        return None
    facts = database.table(statements.facts)
    database.known_as("fact", facts)
    keys: dict[str, str] = {}
    for table in statements.dimensions:
        column = table.dimension.key
        if table.dimension.keys is None and column not in keys:
            keys[column] = f"{literal(array_text(facts.column(column)))}::text[]"
        database.execute(table.create(table.dimension.keys or keys[column]))
    return facts


def coded(database: Database, statements: ChunkStatements) -> dict[int, Coded]:
    """The columns whose values stay in the dimensions' tables, which are there."""
    names = dict.fromkeys(code.dimension for code in statements.codes.values())
    tables = {name: database.table(read_coded(name)) for name in names}
    return {
        place: Coded.of(f"{code.dimension}_n", tables[code.dimension].column(code.field).combine_chunks())
        for place, code in statements.codes.items()
    }


def keep(database: Database, table: str, statements: ChunkStatements) -> int:
    """Keep the rows of statements as a temporary table; returns how many there are."""
    pull(database, statements)
    database.execute(f"create temp table {table} as {statements.rows}")
    for dimension in statements.dimensions:
        database.execute(f"drop table {dimension.dimension.name}")
    return int(database.one(f"select count(*) from {table}"))


def stream(
    database: Database, query: str, counters: Sequence[str], parts: Mapping[str, Part], *, tell_keys: bool, batch_rows: int = BATCH_ROWS
) -> Extent:
    """Write the rows of a query."""
    rows, first, last = 0, "", None
    redacted = dict.fromkeys(counters, 0)
    for batch in in_order(database.batches(query, batch_rows)):
        for name, part in parts.items():
            part.take(batch.column(name))
        if tell_keys:
            first, last = first or _key(batch, 0), batch
        for i, counter in enumerate(counters):
            redacted[counter] += pc.sum(batch.column(f"_count{i}")).as_py()
        rows += batch.num_rows
    return Extent(rows, first, _key(last, last.num_rows - 1) if last is not None else "", redacted)


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


def _key(batch: pa.RecordBatch, row: int) -> str:
    names = [name for name in batch.schema.names if name.startswith("_key")]
    return json.dumps([_key_text(batch.column(name)[row]) for name in names], ensure_ascii=False, separators=(",", ":"))


def _key_text(value: pa.Scalar) -> str:
    if not pa.types.is_timestamp(value.type):
        return str(value.as_py())
    instant = datetime.fromtimestamp(value.value // 1_000_000, UTC).replace(microsecond=value.value % 1_000_000)
    return instant.isoformat(timespec="microseconds")
