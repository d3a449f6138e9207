"""The same suite over every store."""

import secrets
from collections.abc import Iterator

import pytest

from shared.settings import StoreSettings
from shared.storage import ObjectStore, open_store
from shared.storage.s3 import s3_client
from tests.conftest import Stack


def s3_settings(stack: Stack) -> StoreSettings:
    names = ("endpoint", "access_key", "secret_key", "bucket")
    return StoreSettings(store="s3", **{f"s3_{name}": stack.env[f"WAYBILL_S3_{name.upper()}"] for name in names})  # type: ignore[arg-type]


@pytest.fixture(scope="module", params=["directory", "s3"])
def store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStore]:
    """S3 in a bucket of its own: uploads of others must not be aborted by these tests."""
    if request.param == "directory":
        yield open_store(StoreSettings(store=f"file://{tmp_path_factory.mktemp('store')}"))
        return
    settings = s3_settings(request.getfixturevalue("stack")).model_copy(update={"s3_bucket": f"contract-{secrets.token_hex(4)}"})
    client = s3_client(settings)
    client.create_bucket(Bucket=settings.s3_bucket)
    yield open_store(settings)
    client.delete_bucket(Bucket=settings.s3_bucket)


@pytest.fixture
def prefix(store: ObjectStore) -> Iterator[str]:
    """A part of the store that nobody else uses."""
    name = f"contract-{secrets.token_hex(6)}/"
    yield name
    store.delete_prefix(name)
