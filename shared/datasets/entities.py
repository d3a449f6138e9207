"""Datasets whose rows are the rows of one versioned table: what their queries are, from a few declarations."""

import re
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import ClassVar

from shared.datasets.base import Dataset, base_of, deleted_at
from shared.datasets.belonging import Carried, Inside
from shared.datasets.changes import Changes, tables_read, together, worth_finding
from shared.datasets.plan import ChunkQuery, ColumnType, Dimension, Key, PlanSpec, Since
from shared.datasets.redaction import rule_of
from shared.datasets.sql import BLOCK_BYTES, Settled, current, instant, literal, replaced_since, texts, unreplaced
from shared.formats import registry as formats

_FACT_FIELD = re.compile(r"\bfact\.(\w+)")


class Entities(Dataset):
    """Its rows are rows of `table` (alias `alias`), in order of (`time`, `key`). `fields` names the PostgreSQL expressions that columns read as
    `fact.<name>`; `joins` the joins that these may need; `inside` the texts of other sheets that the plan looks at, which a row's bytes count. A row is about `row_bytes` long, and as the texts
    of its columns `wide` are; where the rows count that themselves in `blocks`, a plan is made by the index over the time alone.
    """

    table: ClassVar[str]
    alias: ClassVar[str]
    time: ClassVar[str] = "created_at"
    key: ClassVar[str] = "id"
    fields: ClassVar[Mapping[str, str]]
    inside: ClassVar[Sequence[Inside]] = ()
    row_bytes: ClassVar[int] = 500
    wide: ClassVar[Sequence[str]] = ()
    blocks: ClassVar[bool] = False

    @abstractmethod
    def conditions(self, spec: PlanSpec, snapshot: str) -> list[str]:
        """The spec's filter as PostgreSQL conditions on the dataset's rows (without ids, range and snapshot)."""

    def scope(self, snapshot: str) -> list[str]:
        """Conditions that every row of the dataset fulfils, whatever is asked for."""
        return []

    def in_range(self, spec: PlanSpec) -> list[str]:
        """The spec's range as conditions."""
        time = f"{self.alias}.{self.time}"
        bounds = ((">=", spec.from_), ("<", spec.to))
        return [f"{time} {sign} {instant(bound.isoformat())}" for sign, bound in bounds if bound is not None]

    def joins(self, snapshot: str) -> dict[str, str]:
        """Alias → join; left out of a query that doesn't name the alias. In dependency order."""
        return {}

    def dimensions(self, spec: PlanSpec, snapshot: str) -> tuple[Dimension, ...]:
        """Relations that many rows share."""
        return ()

    def attached(self, spec: PlanSpec, snapshot: str) -> Mapping[str, Callable[[str], str]]:
        """Fields of the facts that stand in another table, in a row of the same id: what makes PostgreSQL's query for (id, value) from a text[] of ids."""
        return {}

    def size(self, spec: PlanSpec, snapshot: str) -> str:
        """PostgreSQL expression of about how many bytes a row is, but for what it carries: at most a block less than any of `wide` is."""
        if self.blocks:
            return f"{self.row_bytes} + {BLOCK_BYTES} * {self.alias}.blocks"
        return " + ".join([str(self.row_bytes), *(f"coalesce(octet_length({self.alias}.{name}), 0)" for name in self.wide)])

    def carried(self, spec: PlanSpec, snapshot: str) -> Sequence[Carried]:
        """What makes rows longer that stands in other tables."""
        return ()

    def years(self, spec: PlanSpec, lower: Key | None, upper: Key | None) -> tuple[int, int]:
        start = int(lower[0][:4]) if lower else spec.from_.year if spec.from_ else int(upper[0][:4]) if upper else 2026
        return start, int(upper[0][:4]) if upper else start

    def plan_query(self, spec: PlanSpec, snapshot: str, after: Key | None, rows_max: int, bytes_max: int | None) -> str:
        # All that a page's rows carry is added up in one go, and row by row only where rows are counted out, or looked at one by one anyway if they have many bytes.
        together = bytes_max is None and spec.since is None and not self._bounded_inside(spec)
        if spec.since is not None:
            page = self._changed_page(spec, snapshot, after, rows_max)
        else:
            page = self._page(spec, snapshot, after, rows_max, own=together)
        carried = self._carried(spec, snapshot) if together else ""
        if bytes_max is not None:
            page = f"""
                select at, id, bytes, long from (
                    select *, count(*) over in_order as n, sum(bytes) over in_order as running
                    from ({page}) page window in_order as (order by at, id rows unbounded preceding)
                ) counted where running <= {int(bytes_max)} or n = 1 order by at, id"""
        # The rows come in their order, so the last of the ids is the last row's: looking for it in the page's rows again would keep all of them meanwhile.
        return f"""
            select rows, bytes{carried} as bytes, long, array[to_char(last at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"'), ids[rows::int]] as last_key
            from (select count(*) as rows, coalesce(sum(bytes), 0)::bigint as bytes, bool_or({self._maybe_long(spec, snapshot)}) as long, max(at) as last,
                array_agg(id) as ids from ({page}) page) chunk"""

    def _carried(self, spec: PlanSpec, snapshot: str) -> str:
        """What the rows of a page, whose `ids` they are, carry, as terms of a sum."""
        return "".join(f" + {each.of('chunk.ids', snapshot)}" for each in self.carried(spec, snapshot))

    def _page(self, spec: PlanSpec, snapshot: str, after: Key | None, rows_max: int, own: bool = False) -> str:
        """`own`: the bytes are the rows' own, without what they carry."""
        # Along the index of the current rows, merged with the few that ended since: an index over all that ever ended would be walked to its
        # end by every chunk. The order and limit inside let PostgreSQL merge instead of sorting everything.
        pages = f"""({self._sizes(spec, snapshot, after, "_current", unreplaced(self.alias, snapshot, self.table), own=own)} order by at, id limit {int(rows_max)})"""
        if isinstance(snapshot, Settled) and self.table in snapshot.tables:
            return pages
        return f"""
            with replaced as materialized ({self._sizes(spec, snapshot, after, "_ended", replaced_since(self.alias, snapshot), own=own)})
            select at, id, bytes, long from (
                {pages} union all select * from replaced
            ) version order by at, id limit {int(rows_max)}"""

    def _changed_page(self, spec: PlanSpec, snapshot: str, after: Key | None, rows_max: int) -> str:
        """Rows that may have changed, and those that are gone."""
        since, base = _since(spec), base_of(spec)
        in_order = f"order by at, id limit {int(rows_max)}"
        touched = self._touched(spec, snapshot)
        # What is gone is looked for no further than the page goes: each page looks at its own stretch.
        near = [*touched, f"{self.alias}.{self.time} <= (select at from edge)"]
        if since.found:
            now = f"{self._sizes(spec, snapshot, after, more=touched)} {in_order}"
            then = [self._sizes(base, since.snapshot, after, more=near)]
        else:
            now = self._page(spec, snapshot, after, rows_max)
            then = [self._sizes(base, since.snapshot, after, "_ended", replaced_since(self.alias, since.snapshot), near)]
            if not self._gone_have_ended(spec):
                then.append(self._sizes(base, since.snapshot, after, "_current", unreplaced(self.alias, since.snapshot), near))
        gone = " union all ".join(f"(select * from ({rows}) t where {self._not_there(spec, snapshot)} {in_order})" for rows in then)
        return f"""
            with there as materialized ({now}),
                 edge as materialized (select case when count(*) = {int(rows_max)} then max(at) else 'infinity' end as at from there)
            select at, id, bytes, long from (select * from there union all {gone}) version {in_order}"""

    def _sizes(
        self, spec: PlanSpec, snapshot: str, after: Key | None, partition: str = "", seen: str = "", more: Sequence[str] = (), own: bool = False
    ) -> str:  # fmt: skip
        key = f"{self.alias}.{self.key}"
        carried = [] if own else [each.of(f"array[{key}]", snapshot) for each in self.carried(spec, snapshot)]
        size, where = " + ".join([self.size(spec, snapshot), *carried]), self._where(spec, snapshot, after, None, seen, more)
        rows = self._from(size + where, snapshot, partition)
        if self._bounded_inside(spec):
            # By offset 0 bytes are added up once, and not again for each look that depends on them.
            rows, size = f"{rows} cross join lateral (select {size} as bytes offset 0) its", "its.bytes"
        long = " or ".join(self._long(spec, snapshot, size)) or "false"
        return f"select {self.alias}.{self.time} as at, {self.alias}.{self.key} as id, {size} as bytes, {long} as long from {rows} where {where}"

    def _long(self, spec: PlanSpec, snapshot: str, bytes_: str) -> list[str]:
        """Conditions that a text of a row may be longer than a cell takes, which its bytes don't say. `bytes_`: of all texts on other sheets too; where they are few, none is long."""
        if spec.since is not None:
            return []  # what a delta doesn't write may be as long as it likes: the formatter refuses what is
        looked_at = [f"octet_length({sql}) > {units}" for _, sql, units in self._bounded(spec, snapshot) if not self._is_wide(sql)]
        for inside, units in self._bounded_inside(spec):
            there = f"{inside.of(f'{self.alias}.{self.key}', snapshot)} and octet_length({inside.sql}) > {units}"
            # By offset 0 PostgreSQL looks at each row's own, and not, for all rows together, at every text that there is.
            found = f"exists (select from {there} offset 0)"
            looked_at.append(f"case when {bytes_} > {units} then {found} else false end")
        return looked_at

    def _maybe_long(self, spec: PlanSpec, snapshot: str) -> str:
        """The condition that a text of a row of a page may be longer than a cell takes. A row whose bytes are few has none: so its texts are looked at once."""
        units = [units for _, sql, units in self._bounded(spec, snapshot) if self._is_wide(sql)] if spec.since is None else []
        return f"long or bytes > {min(units) - BLOCK_BYTES}" if units else "long"

    def _is_wide(self, sql: str) -> bool:
        return sql.removeprefix(f"{self.alias}.") in self.wide

    def too_long(self, spec: PlanSpec, snapshot: str, after: Key | None, upper: Key) -> str:
        found = (
            " ".join(f"when {_too_long(sql, units)} then {literal(header)}" for header, sql, units in self._bounded(spec, snapshot))
            or "when false then ''"
        )
        where = self._where(spec, snapshot, after, upper)
        order = f"order by {self.alias}.{self.time}, {self.alias}.{self.key}"
        rows = f"select {self.alias}.{self.key} as key, row_number() over ({order}) as row, case {found} end as header from {self._from(where, snapshot)} where {where}"
        places = ["select row, header, null as within from placed where header is not null"]
        for inside, units in self._bounded_inside(spec):
            numbered = (
                f"select row_number() over (order by {inside.order}) as n, {inside.sql} as text from {inside.of('placed.key', snapshot)}"
            )
            first = f"lateral (select n from ({numbered}) numbered where {_too_long('text', units)} order by n limit 1) found on true"
            named = f"{literal(inside.column.header)} as header, {literal(inside.noun)} || ' ' || found.n as within"
            places.append(f"select row, {named} from placed join {first}")
        return f"with placed as ({rows}) select row, header, within from ({' union all '.join(places)}) long order by row limit 1"

    def _bounded_inside(self, spec: PlanSpec) -> list[tuple[Inside, int]]:
        """The texts of other sheets that a format limits, to how many UTF-16 code units."""
        units = [fmt.cell_units_max for fmt in map(formats.get, spec.formats) if fmt.sheeted and fmt.cell_units_max is not None]
        return [(i, min(units)) for i in self.inside if units and rule_of(i.column, spec.redaction) in (None, "keep")]

    def _bounded(self, spec: PlanSpec, snapshot: str) -> list[tuple[str, str, int]]:
        """The columns of the table itself whose texts a format limits: header, PostgreSQL column, how many UTF-16 code units. An expression's text is
        looked at by the formatter."""
        fields = self._fields(spec, snapshot)
        found: dict[str, tuple[str, str, int]] = {}
        for name in spec.formats:
            units = formats.get(name).cell_units_max
            for column in self.chosen(spec, name):
                if rule_of(column, spec.redaction) not in (None, "keep"):
                    continue  # what a rule leaves fits
                sql = fields.get(column.sql.removeprefix("fact."), "")
                if (
                    units is not None and column.type is ColumnType.text and not column.plain
                    and re.fullmatch(rf"{self.alias}\.\w+", sql) and sql != f"{self.alias}.{self.key}"
                ):  # fmt: skip
                    found[column.header] = (column.header, sql, units)
        return list(found.values())

    def members(self, spec: PlanSpec, snapshot: str, lower: Key | None, upper: Key | None) -> str:
        where = self._where(spec, snapshot, lower, upper)
        time, key = f"{self.alias}.{self.time}", f"{self.alias}.{self.key}"
        return f"""select coalesce(array_agg({key} order by {time}, {key}), '{{}}')::text as keys
            from {self._from(where, snapshot)} where {where}"""

    def count_query(self, spec: PlanSpec, snapshot: str, lower: Key | None, upper: Key | None) -> str:
        partition, seen = self._standing(snapshot)
        where = self._where(spec, snapshot, lower, upper, seen, self._touched(spec, snapshot))
        return f"select count(*) as rows from {self._from(where, snapshot, partition)} where {where}"

    def relation(self, spec: PlanSpec, snapshot: str, lower: Key | None, upper: Key | None) -> ChunkQuery:
        return self._rows(spec, snapshot, lower, upper, self._touched(spec, snapshot))

    # ---- deltas

    def touched(self, changes: Changes) -> Mapping[str, str]:
        """Table → a query for the ids of rows that may be others because of what changed in it. A change in a table that isn't named may touch any row."""
        return {}

    def worth_finding(self, spec: PlanSpec, snapshot: str) -> str:
        changes = Changes(_since(spec).snapshot, snapshot)
        return worth_finding(changes, self._read(spec, snapshot), self.touched(changes))

    def before(self, spec: PlanSpec, keys: str) -> ChunkQuery:
        return self._rows(base_of(spec), _since(spec).snapshot, None, None, [f"{self.alias}.{self.key} = any({keys})"])

    def gone(self, spec: PlanSpec, snapshot: str, lower: Key | None, upper: Key | None) -> str:
        since, base = _since(spec), base_of(spec)
        seen, partition = "", ""
        if not since.found and self._gone_have_ended(spec):
            seen, partition = replaced_since(self.alias, since.snapshot), "_ended"
        where = self._where(base, since.snapshot, lower, upper, seen, self._touched(spec, snapshot))
        then = f"select {self.alias}.{self.time} as at, {self.alias}.{self.key} as id from {self._from(where, since.snapshot, partition)} where {where}"
        assert self.entity is not None
        when = deleted_at(self.entity, "t.id", snapshot)
        return f"select t.at, t.id, {when} as deleted_at from ({then}) t where {self._not_there(spec, snapshot)} order by t.at, t.id"

    def _touched(self, spec: PlanSpec, snapshot: str) -> list[str]:
        """The condition that a row may have changed since the base, where that is found by the changes."""
        if spec.since is None or not spec.since.found:
            return []
        changes = Changes(spec.since.snapshot, snapshot)
        rules = self.touched(changes)
        found = together(rules[table] for table in self._read(spec, snapshot) if table in rules)
        return [f"{self.alias}.{self.key} = any(array(select id from ({found}) found))"]

    def _read(self, spec: PlanSpec, snapshot: str) -> list[str]:
        """The tables that decide which rows there are and what they say."""
        query = self._rows(base_of(self.compared(spec)), snapshot, None, None)
        return tables_read(query.facts, *query.attached.values(), *(dimension.select("'{}'::text[]") for dimension in query.dimensions))

    def _not_there(self, spec: PlanSpec, snapshot: str) -> str:
        """The condition that the row `t` of before has none with its id any more."""
        where = f"{self._where(spec, snapshot, None, None)} and {self.alias}.{self.key} = t.id"
        return f"not exists (select from {self._from(where, snapshot)} where {where})"

    def _gone_have_ended(self, spec: PlanSpec) -> bool:
        """Whether only a row can be gone whose own version has ended: nothing else decides if it is there."""
        if spec.since is None or spec.since.theirs is not None:
            return False
        where = " ".join([*self.scope(spec.since.snapshot), *self.conditions(spec, spec.since.snapshot)])
        return "ingest." not in where and not self._needed_joins(where, spec.since.snapshot)

    def _rows(self, spec: PlanSpec, snapshot: str, lower: Key | None, upper: Key | None, more: Sequence[str] = ()) -> ChunkQuery:
        columns = [c for f in spec.formats for c in self.selected(spec, f)]
        sources = {c.source for c in columns}
        partition, seen = self._standing(snapshot)
        where = self._where(spec, snapshot, lower, upper, seen, more)
        time, key = f"{self.alias}.{self.time}", f"{self.alias}.{self.key}"
        fields = self._fields(spec, snapshot)
        ids = f"array(select {key} from {self._from(where, snapshot, partition)} where {where})"
        dimensions = tuple(
            replace(d, keys=ids) if fields.get(d.key) == key else d for d in self.dimensions(spec, snapshot) if d.name in sources
        )
        read = {name for c in columns for name in c.fact_fields} | {d.key for d in dimensions}
        attached = {name: select(ids) for name, select in self.attached(spec, snapshot).items() if name in read}
        read |= {name for d in dimensions for name in _FACT_FIELD.findall(d.join)}
        wanted = {name: sql for name, sql in fields.items() if name in read}
        # No value is sent twice: every column costs both sides.
        names = {sql: name for name, sql in wanted.items()}
        at, id_ = names.get(time, "_at"), names.get(key, "_id")
        shown = ", ".join(f"{sql} as {name}" for name, sql in ({at: time, id_: key} | wanted).items())
        facts = f"select {shown} from {self._from(shown + where, snapshot, partition)} where {where} order by {time}, {key}"
        return ChunkQuery(facts, (at, id_), dimensions, attached)

    def _standing(self, snapshot: str) -> tuple[str, str]:
        """The partition that holds all rows that the snapshot sees, and what says which these are. Where nothing has ended since, the current rows
        alone are asked for, of which an index may answer all."""
        settled = isinstance(snapshot, Settled) and self.table in snapshot.tables
        return ("_current", unreplaced(self.alias, snapshot, self.table)) if settled else ("", "")

    def _fields(self, spec: PlanSpec, snapshot: str) -> Mapping[str, str]:
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

    def _where(self, spec: PlanSpec, snapshot: str, lower: Key | None, upper: Key | None, seen: str = "", more: Sequence[str] = ()) -> str:
        time, key = f"{self.alias}.{self.time}", f"{self.alias}.{self.key}"
        parts = [seen or current(self.alias, snapshot, self.table), *self.scope(snapshot)]
        for sign, bound in ((">", lower), ("<=", upper)):
            if bound is not None:
                parts.append(f"({time}, {key}) {sign} ({instant(bound[0])}, {literal(bound[1])})")
        if ids := spec.filter.get("ids"):
            parts.append(f"{key} = any({texts(ids)})")
        else:
            parts += self.in_range(spec) + self.conditions(spec, snapshot)
        return " and ".join([*parts, *more])


def _since(spec: PlanSpec) -> Since:
    assert spec.since is not None
    return spec.since


def _too_long(sql: str, units: int) -> str:
    """In UTF-16 code units."""
    beyond = f"char_length(regexp_replace({sql}, '[^\\U00010000-\\U0010FFFF]', '', 'g'))"
    return f"case when octet_length({sql}) > {units} then char_length({sql}) + {beyond} > {units} else false end"
