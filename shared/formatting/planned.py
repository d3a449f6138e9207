"""Statements that DuckDB planned once and runs again: of a small chunk's time most goes into planning what the chunk before it had planned too."""

from collections import OrderedDict
from itertools import count

import duckdb

MOST = 64


class Planned:
    """The plans of one connection, by their statements' text; those that were asked for longest ago go first.

    A plan holds what it was made of as it was then: macros, variables, where the tables lie that it names. Who changes one of these lets it `forget`.
    """

    def __init__(self) -> None:
        self._names: OrderedDict[str, str] = OrderedDict()
        self._numbers = count()

    def statement(self, connection: duckdb.DuckDBPyConnection, sql: str) -> str:
        """What runs `sql`. Raises duckdb.Error where it can't be planned."""
        if (name := self._names.get(sql)) is None:
            if len(self._names) >= MOST:
                connection.execute(f"deallocate {self._names.popitem(last=False)[1]}")
            name = f"planned_{next(self._numbers)}"
            connection.execute(f"prepare {name} as {sql}")
            self._names[sql] = name
        self._names.move_to_end(sql)
        return f"execute {name}"

    def forget(self, connection: duckdb.DuckDBPyConnection) -> None:
        """All of them."""
        for name in self._names.values():
            connection.execute(f"deallocate {name}")
        self._names.clear()
