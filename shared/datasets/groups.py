"""Datasets whose rows are not rows of a table, but are made of many: a team's, a channel's, a period's figures."""

from abc import abstractmethod
from typing import ClassVar

from shared.datasets.base import Dataset, base_of, deleted_at
from shared.datasets.plan import ChunkQuery, Key, PlanSpec
from shared.datasets.sql import literal


class Groups(Dataset):
    """PostgreSQL adds the rows up, and both plan and chunks read `groups` in order of its column `key` (text, bytewise; `joined` makes one of several).

    What a query doesn't read of `groups` PostgreSQL mostly doesn't work out: planning counts the `keys` and no more.
    """

    whole = True
    row_bytes: ClassVar[int] = 300

    @abstractmethod
    def groups(self, spec: PlanSpec, snapshot: str) -> str:
        """PostgreSQL query for all rows: `key`, and a column for every field that columns read as `fact.<name>`."""

    def keys(self, spec: PlanSpec, snapshot: str) -> str:
        """PostgreSQL query for the column `key` of all rows, each once. To be overridden where that is found with less work."""
        return f"select key from ({self.groups(spec, snapshot)}) g"

    def plan_query(self, spec: PlanSpec, snapshot: str, after: Key | None, rows_max: int, bytes_max: int | None) -> str:
        most = int(rows_max) if bytes_max is None else max(1, min(int(rows_max), int(bytes_max) // self.row_bytes))
        keys = self.keys(spec, snapshot)
        if spec.since is not None:
            keys += f" union all ({self._gone_keys(spec, snapshot)})"
        return f"""
            select count(*) as rows, count(*) * {self.row_bytes} as bytes, case when count(*) > 0 then array[max(key)]::text[] end as last_key
            from (select key from ({keys}) g where {_between(after, None)} order by key limit {most}) page"""

    def count_query(self, spec: PlanSpec, snapshot: str, lower: Key | None, upper: Key | None) -> str:
        return f"select count(*) as rows from ({self.keys(spec, snapshot)}) g where {_between(lower, upper)}"

    def relation(self, spec: PlanSpec, snapshot: str, lower: Key | None, upper: Key | None) -> ChunkQuery:
        return self._rows(spec, snapshot, _between(lower, upper))

    def members(self, spec: PlanSpec, snapshot: str, lower: Key | None, upper: Key | None) -> str:
        return f"""select coalesce(array_agg(key order by key), '{{}}')::text as keys
            from ({self.keys(spec, snapshot)}) g where {_between(lower, upper)}"""

    def before(self, spec: PlanSpec, keys: str) -> ChunkQuery:
        assert spec.since is not None
        return self._rows(base_of(spec), spec.since.snapshot, f"key = any({keys})")

    def gone(self, spec: PlanSpec, snapshot: str, lower: Key | None, upper: Key | None) -> str:
        assert self.entity is not None
        when = deleted_at(self.entity, "t.key", snapshot)
        return f"""select t.key as id, {when} as deleted_at from ({self._gone_keys(spec, snapshot)}) t
            where {_between(lower, upper)} order by t.key"""

    def _gone_keys(self, spec: PlanSpec, snapshot: str) -> str:
        assert spec.since is not None
        return f"{self.keys(base_of(spec), spec.since.snapshot)} except {self.keys(spec, snapshot)}"

    def _rows(self, spec: PlanSpec, snapshot: str, where: str) -> ChunkQuery:
        wanted = dict.fromkeys(name for f in spec.formats for c in self.selected(spec, f) for name in c.fact_fields)
        shown = ", ".join(["key", *(name for name in wanted if name != "key")])
        return ChunkQuery(f"select {shown} from ({self.groups(spec, snapshot)}) g where {where} order by key", ("key",))


def joined(first: str, second: str) -> str:
    """One key of two ids: by the first, then by the second, null last. No id holds a control character (records.yaml, "id")."""
    return f"""({first} || coalesce(E'\\x01' || {second}, E'\\x02')) collate "C\""""


def _between(lower: Key | None, upper: Key | None) -> str:
    parts = [f"key {sign} {literal(bound[0])}" for sign, bound in ((">", lower), ("<=", upper)) if bound is not None]
    return " and ".join(parts) or "true"
