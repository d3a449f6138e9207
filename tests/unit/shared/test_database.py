"""PostgreSQL's errors, sorted: what passes by itself is waited for, what lasts is said."""

import asyncpg
import pytest

from shared.database import sorted_errors
from shared.errors import TransientError


@pytest.mark.parametrize(
    "error",
    [
        asyncpg.CannotConnectNowError("the database system is starting up"),
        asyncpg.CrashShutdownError("terminating connection because of crash of another server process"),
        asyncpg.ConnectionDoesNotExistError("connection was closed in the middle of operation"),
        asyncpg.SerializationError("could not serialize access"),
        asyncpg.InterfaceError("connection is closed"),
        asyncpg.InternalClientError('cannot switch to state 12; protocol is in the "failed" state'),
        ConnectionRefusedError(),
        TimeoutError(),
    ],
)
def test_what_passes_by_itself(error: Exception) -> None:
    with pytest.raises(TransientError) as caught, sorted_errors():
        raise error
    assert caught.value.dependency == "PostgreSQL"


@pytest.mark.parametrize("error", [asyncpg.UniqueViolationError("duplicate key"), asyncpg.UndefinedTableError("no table"), ValueError()])
def test_what_lasts_goes_through(error: Exception) -> None:
    with pytest.raises(type(error)), sorted_errors():
        raise error
