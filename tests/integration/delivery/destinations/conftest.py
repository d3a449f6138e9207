from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from services.delivery.destinations.store import COURIER
from shared.database import across_tenants, create_pool
from shared.settings import StoreSettings
from shared.storage import open_store
from tests.conftest import Database
from tests.integration.delivery.destinations.room import Room
from tests.integration.delivery.webhooks.room import Clock


@pytest_asyncio.fixture(scope="module")
async def _store(database: Database, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Room]:
    objects = open_store(StoreSettings(store=f"file://{tmp_path_factory.mktemp('store')}"))
    async with create_pool(database.as_service("delivery"), "test", 12) as pool:
        yield Room(database.as_service("delivery"), pool, objects, Clock(), tmp_path_factory.mktemp("there"))


@pytest_asyncio.fixture
async def room(_store: Room, tmp_path: Path) -> Room:
    """On the module's database and store, with a clock and a folder of the test's own."""
    async with across_tenants(_store.pool, COURIER) as connection:  # nothing is left to bring of the test before
        await connection.execute("DELETE FROM delivery.deliveries")
        await connection.execute("DELETE FROM delivery.destinations")
        await connection.execute("DELETE FROM delivery.leftovers")
    return Room(_store.url, _store.pool, _store.objects, Clock(), tmp_path)
