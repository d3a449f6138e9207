"""Datasets whose rows are not rows of a table, but are made of many: a team's, a channel's, a period's figures."""

from abc import abstractmethod
from typing import ClassVar

from shared.datasets.base import Dataset
from shared.datasets.plan import ChunkQuery, Key, PlanSpec
from shared.datasets.sql import literal


class Groups(Dataset):
    """PostgreSQL adds the rows up, and both plan and chunks read `groups` in order of its column `key` (text, bytewise; `joined` makes one of several).

    What a query doesn't read of `groups` PostgreSQL doesn't work out: planning counts the keys and no more.
    """

    whole = True
    row_bytes: ClassVar[int] = 300

    @abstractmethod
    def groups(self, spec: PlanSpec, snapshot: str) -> str:
        """PostgreSQL query for all rows: `key`, and a column for every field that columns read as `fact.<name>`."""

    def plan_query(self, spec: PlanSpec, snapshot: str, after: Key | None, rows_max: int, bytes_max: int | None) -> str:
        most = int(rows_max) if bytes_max is None else max(1, min(int(rows_max), int(bytes_max) // self.row_bytes))
        return f"""
            select count(*) as rows, count(*) * {self.row_bytes} as bytes, case when count(*) > 0 then array[max(key)]::text[] end as last_key
            from (select key from ({self.groups(spec, snapshot)}) g where {_between(after, None)} order by key limit {most}) page"""

    def relation(self, spec: PlanSpec, snapshot: str, lower: Key | None, upper: Key | None) -> ChunkQuery:
        wanted = dict.fromkeys(name for f in spec.formats for c in self.selected(spec, f) for name in c.fact_fields)
        shown = ", ".join(["key", *(name for name in wanted if name != "key")])
        return ChunkQuery(f"select {shown} from ({self.groups(spec, snapshot)}) g where {_between(lower, upper)} order by key", ("key",))


def joined(first: str, second: str) -> str:
    """One key of two ids: by the first, then by the second, null last. No id holds a control character (records.yaml, "id")."""
    return f"""({first} || coalesce(E'\\x01' || {second}, E'\\x02')) collate "C\""""


def _between(lower: Key | None, upper: Key | None) -> str:
    parts = [f"key {sign} {literal(bound[0])}" for sign, bound in ((">", lower), ("<=", upper)) if bound is not None]
    return " and ".join(parts) or "true"
