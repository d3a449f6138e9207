"""What all contract tests share: a service inside the test's own process, on a machine that other tests keep busy."""

from collections.abc import Iterator

import pytest

from services.export_request import walking
from shared import database, http


@pytest.fixture(scope="session", autouse=True)
def patience() -> Iterator[None]:
    """PostgreSQL counts as away after half a minute, not two seconds: it only waits for its turn. (That a caller hears in time that it is away: tests/operate/test_dependencies.py.)"""
    with pytest.MonkeyPatch.context() as patch:
        for module, name in ((database, "CONNECT_SECONDS"), (http, "KEY_SECONDS"), (walking, "LIMIT_SECONDS")):
            patch.setattr(module, name, 30)
        yield
