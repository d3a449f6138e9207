"""A DuckDB with the encoders, as the formatter has it."""

from collections.abc import Callable, Iterator
from typing import Any

import duckdb
import pytest

from shared.formats import macros

Encode = Callable[[str, list[Any]], list[Any]]


@pytest.fixture(scope="session")
def duck() -> Iterator[duckdb.DuckDBPyConnection]:
    connection = duckdb.connect(config={"threads": 1})
    connection.execute(macros.encoders())
    yield connection
    connection.close()


@pytest.fixture(scope="session")
def encode(duck: duckdb.DuckDBPyConnection) -> Encode:
    """The values of a SQL expression over `x`, one for each of `values`."""

    def run(sql: str, values: list[Any]) -> list[Any]:
        return [row[0] for row in duck.execute(f"select {sql} from (select unnest(?::varchar[]) x)", [values]).fetchall()]

    return run
