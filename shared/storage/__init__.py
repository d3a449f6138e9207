"""Where parts and files are kept. All calls block: use them from worker threads."""

from shared.storage.base import FileWriter, NotThere, ObjectInfo, ObjectSink, ObjectStore
from shared.storage.open import open_store

__all__ = ["FileWriter", "NotThere", "ObjectInfo", "ObjectSink", "ObjectStore", "open_store"]
