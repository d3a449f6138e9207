"""What of other tables belongs to an entity's row, for the plan of its chunks."""

from dataclasses import dataclass

from shared.datasets.plan import Column
from shared.datasets.sql import current


@dataclass(frozen=True)
class Inside:
    """Texts on another sheet about a row: `sql` of the rows of `table` whose `owner` it is, in `order`; `noun` says what one is."""

    table: str
    alias: str
    owner: str
    order: str
    sql: str
    noun: str
    column: Column

    def of(self, key: str, snapshot: str) -> str:
        """What stands behind FROM for those of a row."""
        return f"ingest.{self.table} {self.alias} where {self.alias}.{self.owner} = {key} and {current(self.alias, snapshot, self.table)}"


@dataclass(frozen=True)
class Carried:
    """What makes a row longer: `bytes` (a PostgreSQL expression) for each of the rows of `table` whose `owner` it is."""

    table: str
    alias: str
    owner: str
    bytes: str

    def of(self, which: str, snapshot: str) -> str:
        """PostgreSQL expression of all bytes of those whose owner is `which` (an operator and its right side)."""
        owner = f"{self.alias}.{self.owner}"
        theirs = f"{owner} {which} and {owner} is not null and {current(self.alias, snapshot, self.table)}"
        return f"(select coalesce(sum({self.bytes}), 0) from ingest.{self.table} {self.alias} where {theirs})"
