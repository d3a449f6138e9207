"""Houses over both stores."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.integration.delivery.conftest import any_room, room
from tests.integration.delivery.room import Room
from tests.integration.delivery.sftp.house import House, open_house

__all__ = ["any_room", "room"]


@pytest_asyncio.fixture(scope="module")
async def house(room: Room, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    """A directory store."""
    async with open_house(room, Path(tmp_path_factory.mktemp("sftp"))) as opened:
        yield opened


@pytest_asyncio.fixture(scope="module")
async def any_house(any_room: Room, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    async with open_house(any_room, Path(tmp_path_factory.mktemp("sftp"))) as opened:
        yield opened
