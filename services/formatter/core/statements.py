"""From a chunk query and formats to the DuckDB statements that make a chunk's parts.

Adjacent columns of one dimension become one text, made once for each of its rows and format: a message takes its conversation's seven columns
with one copy.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from shared.datasets.base import Dataset
from shared.datasets.plan import ChunkQuery, Column, Dimension, Key, PlanSpec, Sheet
from shared.datasets.sql import pulled
from shared.formats import registry as formats
from shared.formats.base import Cell, Fixed, Format, Piece, Sql, concat


@dataclass(frozen=True)
class DimensionTable:
    """A temporary table of a dimension's rows: `create` takes the text[] literal of its keys (see `keys_of`)."""

    dimension: Dimension
    fragments: tuple[str, ...]

    def create(self, keys: str) -> str:
        name = self.dimension.name
        kept = dict.fromkeys(re.findall(rf"\b{name}\.(\w+)", self.dimension.join))
        columns = ", ".join([*(f"{name}.{c} as {c}" for c in kept), *(f"{sql} as f{i}" for i, sql in enumerate(self.fragments))])
        return f"create temp table {name} as select {columns} from ({self.dimension.select(keys)}) {name}"


def keys_of(column: str) -> str:
    """The statement for the text of a text[] literal: the distinct values of a column of `fact`, in order."""
    return f"select array_text(k) from (select distinct {column} as k from fact)"


@dataclass(frozen=True)
class ChunkStatements:
    """What to run, in order: `facts` (where there are dimensions: the result is to be known as `fact`, so that its keys need no second scan
    in PostgreSQL), each dimension's table, then `rows`: a text column a format, then _n (0, 1, 2 …
    in the order of the dataset), and _key0, _key1 … (its place in that order). A hash join hands out the rows of a vector in an order of its own, so rows come a little out of order."""

    facts: str | None
    dimensions: tuple[DimensionTable, ...]
    rows: str


@dataclass
class _Fragments:
    """The texts that each dimension table holds, collected while lines are made."""

    by_dimension: dict[str, list[str]] = field(default_factory=dict)

    def add(self, dimension: str, sql: str) -> str:
        texts = self.by_dimension.setdefault(dimension, [])
        if sql not in texts:
            texts.append(sql)
        return f"{dimension}.f{texts.index(sql)}"


Fold = Callable[[str], str]


def as_it_is(constant: str) -> str:
    return constant


def compile_chunk(
    dataset: Dataset, spec: PlanSpec, wanted: Sequence[str], snapshot: str, lower: Key | None, upper: Key | None, fold: Fold = as_it_is
) -> ChunkStatements:
    """The statements of one chunk in the `wanted` formats. `fold` may turn a constant expression into its literal: DuckDB would bind and fold
    it again for every chunk, which is most of the time that a small chunk takes to plan."""
    spec = spec.model_copy(update={"formats": list(wanted)})
    columns = {name: dataset.selected(spec, name) for name in wanted}
    return _compile(dataset.relation(spec, snapshot, lower, upper), columns, spec, fold)


def compile_sheet(sheet: Sheet, names: Sequence[str], spec: PlanSpec, wanted: Sequence[str], fold: Fold = as_it_is) -> ChunkStatements:
    """The statements of one sheet of a workbook's chunk; `names` are those of the columns that its rows bring."""
    columns = sheet.columns(names)
    return _compile(sheet.query(names), dict.fromkeys(wanted, columns), spec, fold)


def _compile(query: ChunkQuery, columns: Mapping[str, Sequence[Column]], spec: PlanSpec, fold: Fold) -> ChunkStatements:
    fragments = _Fragments()
    row = f"fact.{query.place[-1]}" if query.place else "null"
    lines = {name: _line(formats.get(name), selected, spec, fragments, fold, row) for name, selected in columns.items()}
    tables = tuple(DimensionTable(d, tuple(fragments.by_dimension[d.name])) for d in query.dimensions)
    texts = ", ".join(f'{sql} as "{name}"' for name, sql in lines.items())
    finished = ", ".join(f'{formats.get(name).finish(f"line.{name}")} as "{name}"' for name in lines)
    facts = f"select *, row_number() over () - 1 as _n from {pulled(query.facts)}"
    source = _joined(tables) if tables else f"({facts}) fact"
    keys = [f"_key{i}" for i in range(len(query.place))]
    place = ", ".join(["fact._n", *(f"fact.{column} as {key}" for key, column in zip(keys, query.place, strict=True))])
    rows = f"select {', '.join([finished, '_n', *keys])} from (select {texts}, {place} from {source}) line"
    return ChunkStatements(facts if query.dimensions else None, tables, rows)


def _joined(tables: Sequence[DimensionTable]) -> str:
    """The facts with a row of each dimension. Where every fact has one, a left join keeps their order (but for rare collisions of hashes).

    Where not, a scalar subquery does: DuckDB runs one as a plain join, but for a second would keep all facts once more.
    """
    source, looked_up = "fact", [t for t in tables if not t.dimension.dense][:1]
    for table in looked_up:
        name = table.dimension.name
        found = ", ".join(f"f{i}: {name}.f{i}" for i in range(len(table.fragments)))
        source = f"(select *, (select {{{found}}} from {name} where {table.dimension.join}) as {name} from {source}) fact"
    return " ".join([source, *(f"left join {t.dimension.name} on {t.dimension.join}" for t in tables if t not in looked_up)])


def _line(fmt: Format, columns: Sequence[Column], spec: PlanSpec, fragments: _Fragments, fold: Fold, row: str) -> str:
    if fmt.typed:
        return _struct(fmt, columns, spec, fragments)
    runs: list[list[Piece]] = []
    for source, run in groupby(columns, key=lambda c: c.source):
        adjacent = list(run)
        pieces = fmt.cells([Cell(c, c.sql, row if source == "fact" else "null") for c in adjacent], spec)
        if source != "fact":
            missing = fold(concat(fmt.cells([Cell(c, c.missing) for c in adjacent], spec)))
            pieces = [Sql(f"coalesce({fragments.add(source, concat(pieces))}, {missing})")]
        runs.append(pieces)
    return fmt.line(runs)


def _struct(fmt: Format, columns: Sequence[Column], spec: PlanSpec, fragments: _Fragments) -> str:
    """A row as typed values, a dimension's made once for each of its rows."""
    fields = []
    for place, column in enumerate(columns):
        value = _value(fmt, column, column.sql, spec)
        if column.source != "fact":
            value = fragments.add(column.source, value)
            if not column.missing.startswith("null"):
                value = f"coalesce({value}, {_value(fmt, column, column.missing, spec)})"
        fields.append(f"c{place} := {value}")
    return f"struct_pack({', '.join(fields)})"


def _value(fmt: Format, column: Column, sql: str, spec: PlanSpec) -> str:
    (piece,) = fmt.cell(Cell(column, sql), spec)
    return piece.text if isinstance(piece, Fixed) else piece.sql
