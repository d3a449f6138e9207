"""Rooms over both stores."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from shared.settings import StoreSettings
from shared.storage import open_store
from tests.conftest import Database
from tests.contract.storage.conftest import s3_settings
from tests.integration.delivery.room import Room, open_room


@pytest_asyncio.fixture(scope="module")
async def room(database: Database, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Room]:
    """A directory store."""
    objects = open_store(StoreSettings(store=f"file://{tmp_path_factory.mktemp('store')}"))
    async with open_room(database.as_service("delivery"), objects) as opened:
        yield opened


@pytest_asyncio.fixture(scope="module", params=["directory", "s3"])
async def any_room(request: pytest.FixtureRequest, database: Database, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Room]:
    settings = s3_settings(request.getfixturevalue("stack")) if request.param == "s3" else None
    objects = open_store(settings or StoreSettings(store=f"file://{tmp_path_factory.mktemp('store')}"))
    async with open_room(database.as_service("delivery"), objects) as opened:
        yield opened
