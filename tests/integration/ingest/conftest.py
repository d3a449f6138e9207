from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.conftest import Database
from tests.integration.ingest.room import Connections, Room, connections_to, room_of


@pytest_asyncio.fixture(scope="module")
async def connections(database: Database) -> AsyncIterator[Connections]:
    async with connections_to(database) as opened:
        yield opened


@pytest.fixture
async def room(connections: Connections) -> AsyncIterator[Room]:
    async with room_of(connections) as made:
        yield made
