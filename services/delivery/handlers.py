"""Commands from `export-assemblies`. Small files are assembled here, at once; others are recorded for the assembler."""

from collections.abc import Callable, Mapping

from services.delivery.assembler import Assembler
from services.delivery.core.assembly import Layout
from services.delivery.core.commands import check, check_discard, fits_handler
from services.delivery.metrics import FILES_WHOLE
from services.delivery.passwords import Passwords
from services.delivery.publisher import Publisher
from services.delivery.store import DeliveryStore, file_id
from services.delivery.threads import Threads
from services.delivery.writing import FileToWrite, OpenFile, Written
from shared.codec import decode
from shared.consumer import Incoming
from shared.database import Connection
from shared.errors import PermanentError
from shared.messages import AssembleFile, DiscardExport
from shared.observability import current_traceparent
from shared.storage import ObjectStore


class CommandHandler:
    """Each command takes effect once: it is claimed in the transaction of its effect."""

    def __init__(
        self, store: DeliveryStore, objects: ObjectStore, publisher: Publisher, passwords: Passwords, threads: Threads,
        lanes: Mapping[bool, Assembler], discard_asked: Callable[[], None],
    ) -> None:  # fmt: skip
        self._store, self._objects, self._publisher, self._threads = store, objects, publisher, threads
        self._lanes, self._discard_asked, self._passwords = lanes, discard_asked, passwords

    async def handle(self, message: Incoming) -> None:
        """Raises TransientError (try again) and PermanentError (dead letter). A file that can't be made is none: its export fails."""
        command = decode(message.value)
        if isinstance(command, DiscardExport):
            check_discard(command)
            return await self._discard(command, message.message_id)
        if not isinstance(command, AssembleFile):
            raise PermanentError("unexpected_message", f"{type(command).__name__} does not belong on this topic.")
        check(command)
        try:
            await (self._assemble_now if fits_handler(command) else self._record)(command, message.message_id)
        except PermanentError as error:
            await self._publisher.fail(command.export_id, command.org_id, error, message.message_id)
        return None

    async def _record(self, command: AssembleFile, message_id: str) -> None:
        async with self._store.transaction(command.org_id) as connection:
            if not await self._wanted(connection, command.export_id, message_id):
                return
            await self._store.keep_command(connection, command, current_traceparent())
        self._lanes[command.express].wake(file_id(command))

    async def _assemble_now(self, command: AssembleFile, message_id: str) -> None:
        """The whole file in one transaction, and with the last file the manifest and the event."""
        async with self._store.transaction(command.org_id) as connection:
            if not await self._wanted(connection, command.export_id, message_id):
                return
            await self._store.keep_publication(connection, command)
            publication = await self._store.lock_publication(connection, command.export_id)
            if publication is None or publication.over:
                return
            password = await self._passwords.of(connection, command.export_id)
            written = await self._threads.run(self._write, command, password)
            await self._store.keep_whole_file(connection, command, written)
            published = await self._publisher.publish_if_whole(connection, command.export_id, command.org_id, publication)
        FILES_WHOLE.labels("express").inc()
        if published:
            self._publisher.told(command.export_id)

    def _write(self, command: AssembleFile, password: str | None) -> Written:
        layout = Layout(command.head, command.separator, command.tail, command.empty)
        open_file = OpenFile(self._objects, FileToWrite(command.name, command.media_type, command.key, command.format, layout, password))
        try:
            open_file.add(command.parts)
            return open_file.complete()
        except BaseException:
            open_file.abort()
            raise

    async def _discard(self, command: DiscardExport, message_id: str) -> None:
        async with self._store.transaction(command.org_id) as connection:
            if not await self._store.inbox.claim(connection, message_id):
                return
            await self._store.ask_discard(connection, command.export_id, command.org_id, command.files)
        self._discard_asked()

    async def _wanted(self, connection: Connection, export_id: str, message_id: str) -> bool:
        """First time, and of an export that is not being discarded."""
        return await self._store.inbox.claim(connection, message_id) and not await self._store.is_over(connection, export_id)
