"""The named queries of queries.sql, ready to be called with a connection."""

import functools
from pathlib import Path
from typing import Any

import aiosql


@functools.cache
def load() -> Any:
    return aiosql.from_path(Path(__file__).with_name("queries.sql"), "asyncpg")
