"""From a chunk query and formats to the DuckDB statements that make a chunk's parts.

Adjacent columns of one dimension become one text, made once for each of its rows and format: a message takes its conversation's seven columns
with one copy.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import NamedTuple

from shared.datasets import registry as datasets
from shared.datasets.base import Dataset
from shared.datasets.plan import ChunkQuery, Column, ColumnType, Dimension, Key, PlanSpec, Sheet
from shared.datasets.redaction import counter_names
from shared.datasets.sql import pulled
from shared.formats import registry as formats
from shared.formats.base import Cell, Fixed, Format, Piece, Quiet, Sql, concat
from shared.formats.fields import FIELDS
from shared.formats.redaction import Redacted, counted_missing, missing, redacted

_FACT_FIELD = re.compile(r"fact\.(\w+)")
_AS_THEY_ARE = (ColumnType.text, ColumnType.timestamp, ColumnType.texts)


@dataclass(frozen=True)
class DimensionTable:
    """A dimension's rows: `select` takes the keys as a text[] of PostgreSQL's."""

    dimension: Dimension
    fragments: tuple[str, ...]
    read: Callable[[str], str] = lambda relation: relation

    def select(self, keys: str) -> str:
        name = self.dimension.name
        kept = dict.fromkeys(re.findall(rf"\b{name}\.(\w+)", self.dimension.join))
        columns = [*(f"{name}.{c} as {c}" for c in kept), *(f"{sql} as f{i}" for i, sql in enumerate(self.fragments))]
        rows = self.read(f"({self.dimension.select(keys)})")
        return f"select {', '.join(columns)} from {rows} {name}"


class Code(NamedTuple):
    """A column's values as a fragment of a dense dimension's table."""

    dimension: Dimension
    fragment: int

    @property
    def field(self) -> str:
        return f"f{self.fragment}"


@dataclass(frozen=True)
class ChunkStatements:
    """What to run, in order: `facts` (where there is more than them: the result is to be known as `fact`, with a column for each of `attached`, which gives
    its value for the id of a row, the last column of its `place`; so the keys need no second scan in PostgreSQL), each dimension's table, then `rows`: a text column a format, then _n (0, 1, 2 …
    in the order of the dataset), _key0, _key1 … (its place in that order), and _count0, _count1 … (how much of it was redacted, by `counters`).
    A hash join hands out the rows of a vector in an order of its own, so rows come a little out of order.

    Columns of a typed format (by place) that aren't in its rows: what `codes` hold stands in a dimension's table, in the row of the fact's key; what `straight`
    ones hold is the facts' column of that name as it is."""

    facts: str | None
    dimensions: tuple[DimensionTable, ...]
    rows: str
    counters: tuple[str, ...] = ()
    place: tuple[str, ...] = ()
    attached: Mapping[str, str] = field(default_factory=dict)
    codes: Mapping[int, Code] = field(default_factory=dict)
    straight: Mapping[int, str] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """The column of `rows` with a row's id."""
        return f"_key{len(self.place) - 1}"

    @property
    def unplaced(self) -> str:
        """`rows` without _key0, _key1 …: who has the facts knows them."""
        return f"select * exclude ({', '.join(f'_key{i}' for i in range(len(self.place)))}) from ({self.rows})" if self.place else self.rows


@dataclass
class _Fragments:
    """The texts that each dimension table holds, collected while lines are made."""

    by_dimension: dict[str, list[str]] = field(default_factory=dict)

    def add(self, dimension: str, sql: str) -> str:
        return f"{dimension}.f{self.place(dimension, sql)}"

    def place(self, dimension: str, sql: str) -> int:
        texts = self.by_dimension.setdefault(dimension, [])
        if sql not in texts:
            texts.append(sql)
        return texts.index(sql)


Fold = Callable[[str], str]


def as_it_is(constant: str) -> str:
    return constant


def compile_chunk(
    dataset: Dataset, spec: PlanSpec, wanted: Sequence[str], snapshot: str, lower: Key | None, upper: Key | None, fold: Fold = as_it_is,
    coded: bool = False, quiet: Mapping[str, Quiet] | None = None,
) -> ChunkStatements:  # fmt: skip
    """The statements of one chunk in the `wanted` formats. `fold` may turn a constant expression into its literal: DuckDB would bind and fold
    it again for every chunk, which is most of the time that a small chunk takes to plan. `coded`: what a typed format writes as it is stays where it is.
    `quiet`: what is known of the facts' columns at whose texts no format has to look (quiet.py); `rows` alone depends on it."""
    spec = spec.model_copy(update={"formats": list(wanted)})
    return compile_query(dataset, dataset.relation(spec, snapshot, lower, upper), spec, fold, coded, quiet)


def compile_query(
    dataset: Dataset,
    query: ChunkQuery,
    spec: PlanSpec,
    fold: Fold = as_it_is,
    coded: bool = False,
    quiet: Mapping[str, Quiet] | None = None,
) -> ChunkStatements:
    """The statements of any rows of the dataset, in all formats of the spec."""
    return _compile(query, {name: dataset.chosen(spec, name) for name in spec.formats}, spec, fold, coded, quiet)


def compile_fields(query: ChunkQuery, columns: Sequence[Column], spec: PlanSpec) -> ChunkStatements:
    """The statements of rows as their fields (shared/formats/fields.py): one column `fields` of structs."""
    return _compile(query, {FIELDS.name: columns}, spec, as_it_is)


def changed_rows(now: str, then: str, statements: ChunkStatements, formats: Sequence[str]) -> str:
    """The rows of the table `now` that aren't in the table `then` as they are, in any format: as the statements' own rows, numbered anew."""
    key = statements.key
    differs = " or ".join(f'n."{name}" is distinct from t."{name}"' for name in formats)
    kept = [
        *(f'"{name}"' for name in formats),
        *(f"_key{i}" for i in range(len(statements.place))),
        *(f"_count{i}" for i in range(len(statements.counters))),
    ]
    return f"""select {", ".join(f"n.{name}" for name in kept)}, row_number() over (order by n._n) - 1 as _n
        from {now} n left join {then} t on t.{key} = n.{key} where t._n is null or {differs} order by n._n"""


def compile_sheet(sheet: Sheet, names: Sequence[str], spec: PlanSpec, wanted: Sequence[str], fold: Fold = as_it_is) -> ChunkStatements:
    """The statements of one sheet of a workbook's chunk; `names` are those of the columns that its rows bring."""
    columns = sheet.columns(names)
    return _compile(sheet.query(names), dict.fromkeys(wanted, columns), spec, fold)


def _compile(
    query: ChunkQuery,
    columns: Mapping[str, Sequence[Column]],
    spec: PlanSpec,
    fold: Fold,
    coded: bool = False,
    quiet: Mapping[str, Quiet] | None = None,
) -> ChunkStatements:
    fragments, apart = _Fragments(), bool(query.dimensions or query.attached)
    family = datasets.get(spec.dataset).family
    sources = _redacted(columns.values(), spec, family)
    # What a redaction may hide, an error doesn't tell.
    row = f"fact.{query.place[-1]}" if query.place and spec.redaction is None else "null"
    dense = {d.name: d for d in query.dimensions if d.by is not None and d.keys is None} if coded else {}
    lines, codes, straight = {}, {}, {}
    for name, selected in columns.items():
        if _format(name).typed:
            codes = _codes(_format(name), selected, spec, sources, fragments, dense)
            straight = _straight(selected, sources["fact"]) if coded and apart else {}
            lines[name] = _struct(_format(name), selected, spec, sources, fragments, codes, straight)
        else:
            lines[name] = _line(
                _format(name), selected, spec, sources, fragments, fold, row, (quiet or {}) if spec.redaction is None else {}
            )
    counts = _counts(spec, columns.values(), sources, fragments)
    tables = tuple(DimensionTable(d, tuple(fragments.by_dimension[d.name]), sources[d.name].over) for d in query.dimensions)
    used = " ".join([*lines.values(), *counts.values()])
    joined = [table for table in tables if f"{table.dimension.name}.f" in used]
    texts = ", ".join(f'{sql} as "{name}"' for name, sql in lines.items())
    finished = ", ".join(f'{_format(name).finish(f"line.{name}")} as "{name}"' for name in lines)
    facts = f"select *, row_number() over () - 1 as _n from {pulled(query.facts)}"
    fact = f"{sources['fact'].over('fact' if apart else f'({facts})')} fact"
    places = {"_n": "fact._n", **{f"_key{i}": f"fact.{column}" for i, column in enumerate(query.place)}}
    places |= {f"_count{i}": sql for i, sql in enumerate(counts.values())}
    place = ", ".join(f"{sql} as {name}" for name, sql in places.items())
    rows = f"select {finished}, {', '.join(places)} from (select {texts}, {place} from {_joined(fact, joined)}) line"
    attached = {name: f"from {pulled(values)}" for name, values in query.attached.items()}
    return ChunkStatements(facts if apart else None, tables, rows, tuple(counts), query.place, attached, codes, straight)


def _format(name: str) -> Format:
    return FIELDS if name == FIELDS.name else formats.get(name)


def _redacted(columns: Iterable[Sequence[Column]], spec: PlanSpec, family: str) -> dict[str, Redacted]:
    """Each source of the columns, as it is read. The facts are always there."""
    by_source: dict[str, list[Column]] = {"fact": []}
    for column in (c for each in columns for c in each):
        by_source.setdefault(column.source, []).append(column)
    return {source: redacted(source, found, spec.redaction, family) for source, found in by_source.items()}


def _counts(
    spec: PlanSpec, columns: Iterable[Sequence[Column]], sources: Mapping[str, Redacted], fragments: _Fragments
) -> dict[str, str]:  # fmt: skip
    """What is counted → the expression of how much of it is in a row."""
    if spec.redaction is None:
        return {}
    flat = list(dict.fromkeys(c for each in columns for c in each))
    absent = {f"columns.{c.key}": counted_missing(c) for c in flat}
    counts: dict[str, str] = {}
    for counter in counter_names(flat, spec.redaction):
        terms = ["0::bigint"]
        for source, relation in sources.items():
            for sql in relation.counts.get(counter, ()):
                terms.append(sql if source == "fact" else f"coalesce({fragments.add(source, sql)}, {absent.get(counter, '0')})")
        counts[counter] = " + ".join(terms)
    return counts


def _joined(fact: str, tables: Sequence[DimensionTable]) -> str:
    """The facts with a row of each dimension. Where every fact has one, a left join keeps their order (but for rare collisions of hashes).

    Where not, a scalar subquery does: DuckDB runs one as a plain join, but for a second would keep all facts once more.
    """
    source, looked_up = fact, [t for t in tables if t.dimension.by is None][:1]
    for table in looked_up:
        name = table.dimension.name
        found = ", ".join(f"f{i}: {name}.f{i}" for i in range(len(table.fragments)))
        source = f"(select *, (select {{{found}}} from {name} where {table.dimension.join}) as {name} from {source}) fact"
    return " ".join([source, *(f"left join {t.dimension.name} on {t.dimension.join}" for t in tables if t not in looked_up)])


def _line(
    fmt: Format, columns: Sequence[Column], spec: PlanSpec, sources: Mapping[str, Redacted], fragments: _Fragments, fold: Fold, row: str,
    quiet: Mapping[str, Quiet],
) -> str:  # fmt: skip
    runs: list[list[Piece]] = []
    for source, run in groupby(columns, key=lambda c: c.source):
        adjacent = list(run)
        cells = [_cell(sources[source].cells[c], row if source == "fact" else "null") for c in adjacent]
        pieces = fmt.cells([replace(c, quiet=quiet.get(c.sql.removeprefix("fact.")) if source == "fact" else None) for c in cells], spec)
        if source != "fact":
            family = datasets.get(spec.dataset).family
            absent = concat(fmt.cells([_cell(missing(c, spec.redaction, family)) for c in adjacent], spec))
            if "pseudonym(" not in absent:  # which is another for each organisation
                absent = fold(absent)
            pieces = [Sql(f"coalesce({fragments.add(source, concat(pieces))}, {absent})")]
        runs.append(pieces)
    return fmt.line(runs)


def _cell(column: Column, row: str = "null") -> Cell:
    return Cell(column, column.sql, row)


def _codes(
    fmt: Format, columns: Sequence[Column], spec: PlanSpec, sources: Mapping[str, Redacted], fragments: _Fragments, dense: Mapping[str, Dimension],
) -> dict[int, Code]:  # fmt: skip
    """The texts of `dense` dimensions by their columns' places: few, so that a row only says which."""
    return {
        place: Code(dense[column.source], fragments.place(column.source, _value(fmt, sources[column.source].cells[column], spec)))
        for place, column in enumerate(columns)
        if column.source in dense and sources[column.source].cells[column].type is ColumnType.text and column.missing.startswith("null")
    }


def _straight(columns: Sequence[Column], facts: Redacted) -> dict[int, str]:
    """The columns (by place) that are a field of the facts, with nothing to do to it."""
    found = {}
    for place, column in enumerate(columns):
        if column.type in _AS_THEY_ARE and (field_ := _FACT_FIELD.fullmatch(column.sql)) and facts.cells.get(column) is column:
            found[place] = field_[1]
    return found


def _struct(
    fmt: Format, columns: Sequence[Column], spec: PlanSpec, sources: Mapping[str, Redacted], fragments: _Fragments, codes: Mapping[int, Code],
    straight: Mapping[int, str],
) -> str:  # fmt: skip
    """A row as typed values but for those that lie elsewhere; a dimension's are made once for each of its rows."""
    fields = []
    for place, column in enumerate(columns):
        if place in codes or place in straight:
            continue
        value = _value(fmt, sources[column.source].cells[column], spec)
        if column.source != "fact":
            value = fragments.add(column.source, value)
            if not column.missing.startswith("null"):
                absent = missing(column, spec.redaction, datasets.get(spec.dataset).family)
                value = f"coalesce({value}, {_value(fmt, absent, spec)})"
        fields.append(f"c{place} := {value}")
    return f"struct_pack({', '.join(fields or ['_ := null'])})"


def _value(fmt: Format, column: Column, spec: PlanSpec) -> str:
    (piece,) = fmt.cell(_cell(column), spec)
    return piece.text if isinstance(piece, Fixed) else piece.sql
