"""What of other tables belongs to an entity's row, for the plan of its chunks."""

from dataclasses import dataclass

from shared.datasets.plan import Column
from shared.datasets.sql import counts, there


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
        return there(self.table, self.alias, f"{self.alias}.{self.owner} = {key}", snapshot)


@dataclass(frozen=True)
class Carried:
    """What makes a row longer: `bytes` (a PostgreSQL expression, or always as many) for each of the rows of `table` whose `owner` it is."""

    table: str
    alias: str
    owner: str
    bytes: str | int

    def of(self, keys: str, snapshot: str) -> str:
        """PostgreSQL expression of all bytes of those whose owner is one of `keys` (text[])."""
        if isinstance(self.bytes, int):
            return f"(select (coalesce(sum(n), 0) * {self.bytes})::bigint from ({counts(self.table, self.owner, keys, snapshot)}) n)"
        owner = f"{self.alias}.{self.owner}"
        theirs = there(self.table, self.alias, f"{owner} = any({keys}) and {owner} is not null", snapshot)
        return f"(select coalesce(sum({self.bytes}), 0) from {theirs})"
