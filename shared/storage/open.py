"""The store that the settings name."""

from urllib.parse import unquote, urlsplit

from shared.errors import PermanentError
from shared.settings import StoreSettings
from shared.storage.base import ObjectStore


def open_store(settings: StoreSettings) -> ObjectStore:
    """One store a process; it may be used from many threads. Connects on first use.

    Raises PermanentError `store_refused` for settings that name none.
    """
    if settings.store == "s3":
        from shared.storage.s3 import S3Store, s3_client

        signer = s3_client(settings, public=True) if settings.s3_public_endpoint else None
        return S3Store(s3_client(settings), settings.s3_bucket, signer)
    url = urlsplit(settings.store)
    if url.scheme == "file" and url.netloc in ("", "localhost") and url.path.startswith("/"):
        from shared.storage.directory import DirectoryStore

        return DirectoryStore(unquote(url.path))
    raise PermanentError("store_refused", "WAYBILL_STORE must be 's3' or 'file:///absolute/path'.", "WAYBILL_STORE")
