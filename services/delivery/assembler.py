"""Assembles files in the background, part by part as they come, while their exports are still being formatted.

A file is leased by one process at a time. What is done so far lives in that process's memory and in the store's open upload: after a crash,
a lost lease or an outage of the store the file starts again from its first part, which gives the same bytes.
"""

import asyncio
import contextlib
import secrets
import time
from dataclasses import dataclass, field, replace
from functools import partial

import structlog

from services.delivery.core.assembly import TURN_BYTES_MAX, FileId, is_last, next_turn
from services.delivery.metrics import BYTES_APPENDED, FILES_BEGUN_AGAIN, FILES_OPEN, FILES_WHOLE, TURN_SECONDS
from services.delivery.passwords import Passwords
from services.delivery.publisher import Publisher
from services.delivery.store import DeliveryStore, Lease
from services.delivery.threads import Threads
from services.delivery.writing import OpenFile, Written
from shared.consumer import persist, retry_delay_seconds
from shared.errors import PermanentError, TransientError
from shared.observability import span
from shared.storage import ObjectStore

log = structlog.get_logger()
POLL_SECONDS = 1.0
STOP_SECONDS = 5.0


@dataclass(frozen=True)
class Lane:
    """How much of one kind of file is done at once: `turns` at the same instant, of `files` that are open."""

    name: str
    express: bool
    turns: int
    files: int


@dataclass
class _Held:
    """A file in hand. `news`: parts may have come. `lost`: it is to be let go."""

    lease: Lease
    news: asyncio.Event = field(default_factory=asyncio.Event)
    lost: asyncio.Event = field(default_factory=asyncio.Event)


async def _set_within(event: asyncio.Event, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()


class Assembler:
    """One lane of files. `run` goes on for ever; several processes may run."""

    def __init__(
        self, store: DeliveryStore, objects: ObjectStore, publisher: Publisher, passwords: Passwords, lane: Lane, lease_seconds: float
    ):
        self._store, self._objects, self._publisher, self._lane, self._lease_seconds = store, objects, publisher, lane, lease_seconds
        self._passwords = passwords
        self._worker = f"{lane.name}-{secrets.token_hex(6)}"
        self._threads = Threads(lane.turns + 1, f"assemble-{lane.name}", bulk=not lane.express)
        self._turns = asyncio.Semaphore(lane.turns)
        self._held: dict[FileId, _Held] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._wake = asyncio.Event()
        self._failure: BaseException | None = None

    def wake(self, file: FileId) -> None:
        """Parts of `file` are recorded. Without this they are found by looking once a second."""
        held = self._held.get(file)
        (held.news if held else self._wake).set()

    async def run(self) -> None:
        heartbeat = asyncio.create_task(self._heartbeat())
        try:
            while self._failure is None:
                await self._take_files()
                await _set_within(self._wake, POLL_SECONDS)
                self._wake.clear()
            raise self._failure
        finally:
            heartbeat.cancel()
            await self._let_go()

    async def _take_files(self) -> None:
        free = self._lane.files - len(self._held)
        if free <= 0:
            return
        try:
            leases = await self._store.lease_files(self._worker, self._lease_seconds, self._lane.express, free)
        except TransientError as error:
            log.warning("assembler_waits", lane=self._lane.name, dependency=error.dependency, reason=str(error))
            return
        for lease in leases:
            if lease.id not in self._held:
                self._start(_Held(lease))

    def _start(self, held: _Held) -> None:
        self._held[held.lease.id] = held
        task = asyncio.create_task(self._follow(held), name=f"assemble {held.lease.id}")
        self._tasks.add(task)
        task.add_done_callback(lambda t: self._ended(held, t))
        FILES_OPEN.labels(self._lane.name).set(len(self._held))

    def _ended(self, held: _Held, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        del self._held[held.lease.id]
        FILES_OPEN.labels(self._lane.name).set(len(self._held))
        if not task.cancelled() and task.exception():
            self._failure = task.exception()
        self._wake.set()

    # ---- one file

    async def _follow(self, held: _Held) -> None:
        """From the first part to the published export, or until the file is someone else's or gone."""
        lease = held.lease
        attempt = 0
        with span(f"assemble {lease.id.format}", {"traceparent": lease.traceparent}):
            while not held.lost.is_set():
                try:
                    await self._attempt(held)
                    break
                except PermanentError as error:
                    await persist(partial(self._publisher.fail, lease.id.export_id, lease.org_id, error))
                    break
                except TransientError as error:
                    attempt += 1
                    FILES_BEGUN_AGAIN.labels(error.dependency or "store").inc()
                    log.warning("file_begins_again", export_id=lease.id.export_id, attempt=attempt, reason=str(error))
                    await _set_within(held.lost, retry_delay_seconds(attempt))

    async def _attempt(self, held: _Held) -> None:
        """Write the file from its first part on, unless it has to be let go. Nothing is left open in the store unless the file is whole."""
        async with self._store.transaction(held.lease.org_id) as connection:
            password = await self._passwords.of(connection, held.lease.id.export_id)
        open_file = OpenFile(self._objects, replace(held.lease.file, password=password))
        written: Written | None = None
        try:
            if await self._append_all(held, open_file) and await self._append_rest(held, open_file):
                await self._tell_assembled(held.lease)
                written = await self._threads.run(open_file.complete)
        finally:
            if written is None:
                await self._abort(open_file)
        if written is not None:
            await persist(partial(self._finish, held.lease, written), export_id=held.lease.id.export_id)

    async def _append_all(self, held: _Held, open_file: OpenFile) -> bool:
        """True once the last part is in; False where the file is not ours any more."""
        while not held.lost.is_set():
            held.news.clear()
            try:
                ours, total, parts = await self._store.parts_from(held.lease, self._worker, open_file.progress.next_number)
            except TransientError:  # PostgreSQL is away: what is written stays good for as long as the lease is
                await _set_within(held.lost, POLL_SECONDS)
                continue
            if not ours:
                return False
            if is_last(open_file.progress, total):
                return True
            if turn := next_turn(open_file.progress, parts):
                async with self._turns:
                    with TURN_SECONDS.time():
                        await self._threads.run(open_file.add, turn)
                BYTES_APPENDED.inc(sum(part.bytes for part in turn))
            else:
                await _set_within(held.news, POLL_SECONDS)
        return False

    async def _append_rest(self, held: _Held, open_file: OpenFile) -> bool:
        """What stands behind the last part, a turn at a time; False where the file is not ours any more."""
        while not held.lost.is_set():
            async with self._turns:
                if not await self._threads.run(open_file.more, TURN_BYTES_MAX):
                    return True
        return False

    async def _tell_assembled(self, lease: Lease) -> None:
        """Small exports are published before anyone could look: nothing is said of them."""
        if not lease.express:
            export_id = lease.id.export_id
            await persist(partial(self._publisher.assembled, export_id, lease.org_id, lease.id, self._worker), export_id=export_id)

    async def _finish(self, lease: Lease, written: Written) -> None:
        """The file is whole in the store: say so, and publish the export if it was the last one.

        Not ours any more does not mean unwanted: a commit whose answer was lost is tried again, and another worker may have published the same bytes.
        """
        export_id = lease.id.export_id
        async with self._store.transaction(lease.org_id) as connection:
            publication = await self._store.lock_publication(connection, export_id)
            ours = await self._store.file_is_whole(connection, lease.id, self._worker, written)
            gone = publication is None or publication.files_go
            published = (
                ours
                and publication is not None
                and await self._publisher.publish_if_whole(connection, export_id, lease.org_id, publication)
            )
        if published:
            self._publisher.told(export_id)
        if ours:
            FILES_WHOLE.labels(self._lane.name).inc()
        elif (
            gone or written.key != lease.file.key
        ):  # discarded meanwhile, or an encrypted file beside the one that counts: it must not stay
            await self._threads.run(self._objects.delete, [written.key])

    async def _abort(self, open_file: OpenFile) -> None:
        """An upload that can't be aborted now is found by the sweeper."""
        try:
            await self._threads.run(open_file.abort)
        except (TransientError, PermanentError) as error:
            log.warning("abort_failed", reason=str(error))

    # ---- leases

    async def _heartbeat(self) -> None:
        """Renew the leases in time. Where PostgreSQL can't be asked until they have run out, they count as lost."""
        renewed = time.monotonic()
        while True:
            await asyncio.sleep(self._lease_seconds / 4)
            files = list(self._held)
            try:
                kept = await self._store.renew_leases(self._worker, self._lease_seconds, files) if files else set()
                renewed = time.monotonic()
            except TransientError:
                kept = set(files) if time.monotonic() - renewed < self._lease_seconds else set()
            for file in set(files) - kept:
                self._lose(file)

    def _lose(self, file: FileId) -> None:
        if held := self._held.get(file):
            held.lost.set()
            held.news.set()

    async def _let_go(self) -> None:
        """On the way out: end the turns in hand, abort the uploads, give the leases back, so that another process goes on at once."""
        leases = [held.lease for held in self._held.values()]
        for lease in leases:
            self._lose(lease.id)
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=STOP_SECONDS)
        with contextlib.suppress(TransientError):  # they run out by themselves
            for lease in leases:
                await self._store.release_lease(lease, self._worker)
        await self._threads.close()
