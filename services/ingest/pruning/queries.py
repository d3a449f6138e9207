"""The statements of queries.sql, filled in for a table where they are about one."""

import functools
from pathlib import Path
from typing import Any

import aiosql


@functools.cache
def _load() -> Any:
    return aiosql.from_path(Path(__file__).with_name("queries.sql"), "asyncpg", mandatory_parameters=False)


@functools.cache
def statement(name: str, table: str = "") -> str:
    text: str = getattr(_load(), name).sql
    return text.format(table=table) if table else text
