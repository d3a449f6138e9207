from collections.abc import AsyncIterator

import pytest

from tests.conftest import Database
from tests.integration.ingest.room import Room, open_room


@pytest.fixture
async def room(database: Database) -> AsyncIterator[Room]:
    async with open_room(database) as opened:
        yield opened
