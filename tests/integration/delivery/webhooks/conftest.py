"""A room and a receiver for each test."""

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from shared.database import across_tenants, create_pool
from tests.conftest import Database
from tests.integration.delivery.webhooks.room import Clock, Room
from tests.receiver import Receiver, receiving


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as opened:
        yield opened


@pytest_asyncio.fixture
async def room(database: Database) -> AsyncIterator[Room]:
    url = database.as_service("delivery")
    pool = create_pool(url, "webhooks-test", 16)
    await pool
    try:
        yield Room(url, pool, Clock())
    finally:
        async with across_tenants(pool) as connection:  # the next test begins with nothing to send
            await connection.execute("DELETE FROM delivery.webhook_endpoints")
        await pool.close()
