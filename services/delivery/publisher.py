"""The end of an export's files: published together with the manifest, or failed. The event goes out in the transaction of its row."""

from collections.abc import Callable, Sequence

import structlog

from services.delivery.core.assembly import FileId
from services.delivery.core.manifest import WholeFile, draft
from services.delivery.keyring import Keyring, Signer
from services.delivery.metrics import FAILED, PUBLISHED
from services.delivery.sftp.store import place
from services.delivery.store import DeliveryStore, Publication
from services.delivery.threads import Threads
from shared.database import Connection
from shared.errors import PermanentError
from shared.messages import ExportAssembled, ExportPublished, PublishedFile, PublishFailed
from shared.metrics import STAGE_SECONDS
from shared.outbox import Outbox, internal
from shared.storage import ObjectStore
from shared.topics import EXPORT_FILES

log = structlog.get_logger()


class Publisher:
    """Call `told` after the commit of a transaction in which something was published."""

    def __init__(
        self, store: DeliveryStore, objects: ObjectStore, outbox: Outbox, threads: Threads, keyring: Keyring,
        discard_asked: Callable[[], None],
    ) -> None:  # fmt: skip
        self._store, self._objects, self._outbox, self._threads = store, objects, outbox, threads
        self._keyring, self._discard_asked = keyring, discard_asked

    async def assembled(self, export_id: str, org_id: str, file: FileId, worker: str) -> None:
        """The last part of `file` is in. Where that is so of every file, export_request hears that publishing begins."""
        async with self._store.transaction(org_id) as connection:
            publication = await self._store.lock_publication(connection, export_id)
            if publication is None or publication.over or publication.files_total is None:
                return
            if await self._store.file_closes(connection, file, worker, publication.files_total):
                event = ExportAssembled(export_id, org_id)
                await self._outbox.add(connection, [internal(EXPORT_FILES, export_id, event, f"{export_id}/assembled")])
        self._outbox.wake()

    async def publish_if_whole(self, connection: Connection, export_id: str, org_id: str, publication: Publication) -> bool:
        """In a transaction that holds the publication's lock: when every file is whole, write the manifest and tell."""
        files = await self._store.whole_files(connection, export_id)
        if publication.over or publication.files_total is None or len(files) < publication.files_total:
            return False
        with STAGE_SECONDS.labels("publish").time():
            manifest, event = await self._manifest(export_id, org_id, publication, files)
            await self._store.publish(connection, export_id, manifest.decode())
            if publication.sftp_folder:
                for file in files:
                    await place(connection, org_id, export_id, file.id.format, file.id.number, publication.sftp_folder, file.name)
            await self._outbox.add(connection, [internal(EXPORT_FILES, export_id, event, f"{export_id}/published")])
        return True

    def told(self, export_id: str) -> None:
        PUBLISHED.inc()
        log.info("export_published", export_id=export_id)
        self._outbox.wake()

    async def fail(self, export_id: str, org_id: str, error: PermanentError, message_id: str = "") -> None:
        """Nothing is published; export_request hears why, once. `message_id` is claimed with it, where a message caused it."""
        async with self._store.transaction(org_id) as connection:
            if message_id and not await self._store.inbox.claim(connection, message_id):
                return
            failed = await self._store.fail_export(connection, export_id, org_id, error.code)
            if failed:
                event = PublishFailed(export_id, org_id, error.code, error.message)
                await self._outbox.add(connection, [internal(EXPORT_FILES, export_id, event, f"{export_id}/publish-failed")])
        if failed:
            FAILED.labels(code=error.code).inc()
            log.error("publish_failed", export_id=export_id, code=error.code)
            self._outbox.wake()
            self._discard_asked()

    async def _manifest(
        self, export_id: str, org_id: str, publication: Publication, files: Sequence[WholeFile]
    ) -> tuple[bytes, ExportPublished]:  # fmt: skip
        signer = await self._keyring.signer(publication.signing_key)
        manifest, published = await self._threads.run(self._write, publication, files, signer)
        return manifest, ExportPublished(export_id, org_id, published)

    def _write(self, publication: Publication, files: Sequence[WholeFile], signer: Signer) -> tuple[bytes, list[PublishedFile]]:
        made = draft(publication.manifest_base or "", files)
        manifest = made.signed(signer.private)
        self._objects.put(publication.manifest_key or "", manifest, "application/json")
        return manifest, made.published
