from tests.integration.ingest.conftest import connections, room

__all__ = ["connections", "room"]
