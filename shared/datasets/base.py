"""What a dataset is: declarations, and the two queries that follow from them for datasets with one entity a row."""

import re
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from shared.datasets import filters
from shared.datasets.plan import ChunkQuery, Column, CustomProperty, Dimension, Key, PlanSpec
from shared.datasets.sql import current, instant, literal, replaced_since, texts, unreplaced
from shared.errors import Detail, invalid_request, unprocessable

_FACT_FIELD = re.compile(r"\bfact\.(\w+)")


class Dataset:
    """One dataset. A subclass in a module of its own, named `DATASET` there, is all that a new one takes.

    Its rows are the rows of `table` (alias `alias`), in order of (`time`, id). `fields` names the PostgreSQL expressions that columns read as
    `fact.<name>`; `joins` the joins that these may need; `has_range` says whether from and to apply.
    """

    name: ClassVar[str]
    path: ClassVar[str]
    description: ClassVar[str]
    formats: ClassVar[tuple[str, ...]]
    default_format: ClassVar[str] = "csv"
    family: ClassVar[str] = "care"
    range_rule: ClassVar[str] = "required"
    filter_model: ClassVar[type[filters.Filter]] = filters.Filter

    table: ClassVar[str]
    alias: ClassVar[str]
    time: ClassVar[str] = "created_at"
    fields: ClassVar[Mapping[str, str]]

    @abstractmethod
    def columns(self, custom_properties: Sequence[CustomProperty] = ()) -> list[Column]:
        """Every column of the dataset, in order."""

    @abstractmethod
    def conditions(self, spec: PlanSpec, snapshot: str) -> list[str]:
        """The spec's filter as PostgreSQL conditions on the dataset's rows (without ids, range and snapshot)."""

    def joins(self, snapshot: str) -> dict[str, str]:
        """Alias → join; left out of a query whose fields don't name the alias. In dependency order."""
        return {}

    def dimensions(self, spec: PlanSpec, snapshot: str) -> tuple[Dimension, ...]:
        """Relations that many rows share."""
        return ()

    def size(self, spec: PlanSpec, snapshot: str) -> str:
        """PostgreSQL expression of about how many bytes a row is."""
        return "500"

    # ---- requests

    def validate_filter(self, data: Any, timezone: str = "UTC") -> dict[str, Any]:
        """`data` as `PlanSpec.filter` keeps it; dates are read in `timezone`. Raises ApiError 400 naming each wrong field."""
        return filters.validate(self.filter_model, data, timezone)

    def resolve_columns(
        self, asked: Sequence[str] | None, formats: Sequence[str], custom_properties: Sequence[CustomProperty] = ()
    ) -> dict[str, list[str]]:
        """The column keys of each format: those asked for, or the format's defaults. Raises ApiError (400 unknown or twice, 422 not in this format)."""
        columns = self.columns(custom_properties)
        if asked is None:
            return {f: [c.key for c in columns if in_format(c, f) and (c.default is None or f in c.default)] for f in formats}
        if not asked:
            raise invalid_request(Detail("columns", "must name at least one column"))
        known = {c.key for c in columns if c.asked}
        faults = [Detail(f"columns.{i}", _column_fault(key, asked[:i], known)) for i, key in enumerate(asked)]
        if wrong := [d for d in faults if d.message]:
            raise invalid_request(*wrong)
        return {f: _asked_for(asked, f, [c for c in columns if in_format(c, f)]) for f in formats}

    def selected(self, spec: PlanSpec, fmt: str) -> list[Column]:
        """The columns of one format of an export, in order."""
        columns = {c.key: c for c in self.columns(spec.custom_properties) if in_format(c, fmt)}
        return [columns[key] for key in spec.columns[fmt]]

    # ---- queries

    def plan_query(self, spec: PlanSpec, snapshot: str, after: Key | None, rows_max: int, bytes_max: int | None) -> str:
        """The next chunk after `after`: a query for one row (rows, bytes, last_key: text[] or null where rows is 0).

        At most `rows_max` rows and, where `bytes_max` is given, about `bytes_max` bytes, one row at least: that costs a third more, because
        bytes are added up row by row. Run it after `sql.session_sql` in the same transaction.
        """
        # Along the index of the current rows, merged with the few that ended since: an index over all that ever ended would be walked to its
        # end by every chunk. The order and limit inside let PostgreSQL merge instead of sorting everything.
        page = f"""
            with replaced as materialized ({self._sizes(spec, snapshot, after, "ended", replaced_since(self.alias, snapshot))})
            select at, id, bytes from (
                ({self._sizes(spec, snapshot, after, "current", unreplaced(self.alias, snapshot))} order by at, id limit {int(rows_max)})
                union all select * from replaced
            ) version order by at, id limit {int(rows_max)}"""
        if bytes_max is not None:
            page = f"""
                select at, id, bytes from (
                    select *, count(*) over in_order as n, sum(bytes) over in_order as running
                    from ({page}) page window in_order as (order by at, id rows unbounded preceding)
                ) counted where running <= {int(bytes_max)} or n = 1"""
        # What max() gives is a nameless record, whose fields have names again by way of its text.
        return f"""
            select rows, bytes, array[to_char((last).at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"'), (last).id]::text[] as last_key
            from (select count(*) as rows, coalesce(sum(bytes), 0)::bigint as bytes, max(row(at, id))::text::ingest.place as last
                  from ({page}) page) chunk"""

    def _sizes(self, spec: PlanSpec, snapshot: str, after: Key | None, partition: str, seen: str) -> str:
        size = self.size(spec, snapshot)
        rows = self._from(f"{size} {' '.join(self.conditions(spec, snapshot))}", snapshot, f"_{partition}")
        where = self._where(spec, snapshot, after, None, seen)
        return f"select {self.alias}.{self.time} as at, {self.alias}.id as id, {size} as bytes from {rows} where {where}"

    def relation(self, spec: PlanSpec, snapshot: str, lower: Key | None, upper: Key | None) -> ChunkQuery:
        """What makes the rows in (lower, upper]: only the fields and dimensions that the selected columns read."""
        columns = [c for f in spec.formats for c in self.selected(spec, f)]
        sources = {c.source for c in columns}
        dimensions = tuple(d for d in self.dimensions(spec, snapshot) if d.name in sources)
        read = {name for c in columns for name in _FACT_FIELD.findall(c.sql)} | {d.key for d in dimensions}
        read |= {name for d in dimensions for name in _FACT_FIELD.findall(d.join)}
        where = self._where(spec, snapshot, lower, upper)
        conditions = " ".join(self.conditions(spec, snapshot))
        time, key = f"{self.alias}.{self.time}", f"{self.alias}.id"
        wanted = {name: sql for name, sql in self._fields(spec).items() if name in read}
        # No value is sent twice: every column costs both sides.
        names = {sql: name for name, sql in wanted.items()}
        at, id_ = names.get(time, "_at"), names.get(key, "_id")
        shown = ", ".join(f"{sql} as {name}" for name, sql in ({at: time, id_: key} | wanted).items())
        facts = f"select {shown} from {self._from(shown + conditions, snapshot)} where {where} order by {time}, {key}"
        return ChunkQuery(facts, at, id_, dimensions)

    def _fields(self, spec: PlanSpec) -> Mapping[str, str]:
        return self.fields

    def _from(self, used: str, snapshot: str, partition: str = "") -> str:
        joins = [sql for alias, sql in self._needed_joins(used, snapshot)]
        return " ".join([f"ingest.{self.table}{partition} {self.alias}", *joins])

    def _needed_joins(self, used: str, snapshot: str) -> list[tuple[str, str]]:
        needed: list[tuple[str, str]] = []
        for alias, sql in reversed(self.joins(snapshot).items()):
            if re.search(rf"\b{alias}\.", used):
                needed.insert(0, (alias, sql))
                used += sql
        return needed

    def _where(self, spec: PlanSpec, snapshot: str, lower: Key | None, upper: Key | None, seen: str = "") -> str:
        time, key = f"{self.alias}.{self.time}", f"{self.alias}.id"
        parts = [seen or current(self.alias, snapshot)]
        for sign, bound in ((">", lower), ("<=", upper)):
            if bound is not None:
                parts.append(f"({time}, {key}) {sign} ({instant(bound[0])}, {literal(bound[1])})")
        if ids := spec.filter.get("ids"):
            parts.append(f"{key} = any({texts(ids)})")
        else:
            if spec.from_ is not None:
                parts.append(f"{time} >= {instant(spec.from_.isoformat())}")
            if spec.to is not None:
                parts.append(f"{time} < {instant(spec.to.isoformat())}")
            parts += self.conditions(spec, snapshot)
        return " and ".join(parts)


def in_format(column: Column, fmt: str) -> bool:
    """Whether `column` can be in a file of format `fmt`."""
    return column.formats is None or fmt in column.formats


def any_of(sql: str, values: list[str]) -> str:
    """The condition that a text is one of `values`."""
    return f"{sql} = any({texts(values)})"


def _column_fault(key: Any, before: Sequence[Any], known: set[str]) -> str:
    if not isinstance(key, str) or key not in known:
        return f"'{str(key)[:80]}' is not a column of this dataset"
    return f"'{key}' is asked for twice" if key in before else ""


def _asked_for(asked: Sequence[str], fmt: str, columns: list[Column]) -> list[str]:
    if any(not c.asked for c in columns):
        raise unprocessable(Detail("columns", f"a {fmt} file has no columns to choose from"))
    possible = {c.key for c in columns}
    if wrong := [Detail(f"columns.{i}", f"'{key}' can't be in a {fmt} file") for i, key in enumerate(asked) if key not in possible]:
        raise unprocessable(*wrong)
    return list(asked)
