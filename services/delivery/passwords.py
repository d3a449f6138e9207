"""The passwords of files, opened only while a file is written."""

from services.delivery.store import DeliveryStore
from shared.database import Connection
from shared.errors import PermanentError
from shared.sealing import CannotOpen, Seal


class Passwords:
    """Reads them where export_request has put them, sealed."""

    def __init__(self, store: DeliveryStore, seal: Seal) -> None:
        self._store, self._seal = store, seal

    async def of(self, connection: Connection, export_id: str) -> str | None:
        """None where the export's files are not encrypted. Raises PermanentError `password_lost`: what is to be encrypted is never written without."""
        protected, sealed = await self._store.protection(connection, export_id)
        if not protected:
            return None
        try:
            return self._seal.open(sealed or b"", export_id).decode()
        except CannotOpen:
            raise PermanentError("password_lost", "The password of the export's files can't be read: ask for the export again.") from None
