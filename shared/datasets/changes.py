"""What changed between two instants, as PostgreSQL queries for ids: what a delta looks at instead of at every row.

A query may give an id too many, or twice, never one too few; what it gives follows from the two snapshots alone, whenever it is run.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from shared.datasets.sql import between, current, literal, oldest_unseen, own

# Of these new ids are noted as they come (`ingest.arrivals`). The others are small: all of their current rows are looked at.
NOTED = frozenset({"leads", "lead_scores", "contacts", "conversations", "messages", "events", "locks", "presences"})
_READ = re.compile(r"\bingest\.([a-z_]+?)(?:_current|_ended)?\b(?!\()")

# How many rows may be found by their changes; where more may have changed, looking at every row costs less.
FOUND_MAX = 20_000
# How many changes of a table are looked at to see whether that is so.
CHANGES_MAX = 200_000


def tables_read(*queries: str) -> list[str]:
    """The versioned tables that these queries name."""
    return sorted({name for query in queries for name in _READ.findall(query)})


@dataclass(frozen=True)
class Changes:
    """What changed after the snapshot `earlier` and up to `later`."""

    earlier: str
    later: str

    def ids(self, table: str) -> str:
        """Ids of `table` of which a version was added or ended."""
        ended = f"""
            select xe.id from ingest.{table}_ended xe where {own("xe")} and xe.ended >= {oldest_unseen(self.earlier)}
                and ({self._between("xe.added")} or {self._between("xe.ended")})"""
        if table not in NOTED:
            return f"{ended} union all select xc.id from ingest.{table}_current xc where {own('xc')} and {self._between('xc.added')}"
        return f"""{ended}
            union all select unnest(xa.ids) from ingest.arrivals xa
            where {own("xa")} and xa.type = {literal(table)} and xa.added >= {oldest_unseen(self.earlier)} and {self._between("xa.added")}"""

    def named(self, table: str, column: str) -> str:
        """What `column` of the changed rows of `table` names, before and after."""
        return self.of(table, column, "id", self.ids(table))

    def of(self, table: str, shown: str, key: str, keys: str) -> str:
        """`shown` of the rows of `table` whose `key` is one of `keys` at either instant."""
        rows = f"select xv.{shown} as id from ingest.{table} xv where xv.{key} = xk.id and ({self._seen('xv')}) offset 0"
        return f"select xv.id from (select distinct id from ({keys}) xk offset 0) xk cross join lateral ({rows}) xv where xv.id is not null"

    def any(self, table: str) -> str:
        """Whether anything changed in `table`: a query for a boolean."""
        return f"select exists (select from ({self.ids(table)}) c)"

    def _between(self, column: str) -> str:
        return between(column, self.earlier, self.later)

    def _seen(self, alias: str) -> str:
        return f"({current(alias, self.earlier)}) or ({current(alias, self.later)})"


def together(queries: Iterable[str]) -> str:
    """One query of several."""
    return " union all ".join(f"select id from ({query}) q{i}" for i, query in enumerate(queries))


def worth_finding(changes: Changes, read: Iterable[str], rules: Mapping[str, str]) -> str:
    """Whether the rows that may have changed can be found by `rules`, and are few: a query for a boolean.

    Not where a table changed that no rule leads back from, and not since an instant from before arrivals were noted.
    """
    tables = list(read)
    unled = " or ".join(f"({changes.any(table)})" for table in tables if table not in rules) or "false"
    found = together(rules[table] for table in tables if table in rules)
    noted = f"(select bool_and(pg_visible_in_snapshot(n.since, '{changes.earlier}'::pg_snapshot)) from ingest.arrivals_noted n)"
    bounded = " and ".join(
        f"(select count(*) from (select from ({changes.ids(table)}) c limit {CHANGES_MAX + 1}) c) <= {CHANGES_MAX}"
        for table in tables
        if table in rules
    )
    few = f"(select count(*) <= {FOUND_MAX} from (select from ({found}) f limit {FOUND_MAX + 1}) f)"
    return (
        f"select case when not {noted} then false when {unled} then false when not ({bounded or 'true'}) then false else {few} end as found"
    )
