"""What delivery keeps in PostgreSQL: files on their way, publications, leases."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import asyncpg

from services.delivery.core.access import Standing
from services.delivery.core.assembly import FileId, Layout
from services.delivery.core.manifest import WholeFile
from services.delivery.queries import load
from services.delivery.queries import rows as _all
from services.delivery.writing import FileToWrite, Written
from shared.database import Connection, across_tenants, tenant
from shared.inbox import Inbox
from shared.messages import AssembleFile, AssemblyPart

_queries: Any = load()
PARTS_READ_MAX = 256


@dataclass(frozen=True)
class Lease:
    """A file that this process works on until its lease runs out."""

    id: FileId
    org_id: str
    express: bool
    traceparent: str
    file: FileToWrite


@dataclass(frozen=True)
class Publication:
    """What an export's files need to be published; read under its lock."""

    files_total: int | None
    manifest_key: str | None
    manifest_base: str | None
    over: bool  # published, failed or being discarded
    files_go: bool  # failed, or discarded with its files
    signing_key: str | None  # the id of the key that signs now
    sftp_folder: str = ""  # of the SFTP server, where the files are to appear; empty: nowhere


@dataclass(frozen=True)
class Discard:
    """An export whose parts, or all of whose files, are to go."""

    export_id: str
    org_id: str
    files: bool


@dataclass(frozen=True)
class Found:
    """An export's standing and one of its published files, where it has one of that name."""

    standing: Standing
    published_at: datetime | None
    key: str | None
    media_type: str | None
    bytes: int
    sha256: str
    purpose: str = ""  # for which the export was asked for


def _place(file: FileId) -> dict[str, Any]:
    return {"export_id": file.export_id, "format": file.format, "file_number": file.number}


def file_id(command: AssembleFile) -> FileId:
    return FileId(command.export_id, command.format, command.file_number)


class DeliveryStore:
    """Queries by what they are for. Methods that take a connection belong to the caller's transaction."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool
        self.inbox = Inbox("delivery")

    @asynccontextmanager
    async def transaction(self, org_id: str) -> AsyncIterator[Connection]:
        async with tenant(self._pool, org_id) as connection:
            yield connection

    # ---- commands

    async def is_over(self, connection: Connection, export_id: str) -> bool:
        return bool(await _queries.is_over(connection, export_id=export_id))

    async def protection(self, connection: Connection, export_id: str) -> tuple[bool, bytes | None]:
        """Whether the export's files are encrypted, and the sealed password while it is kept."""
        row = await _queries.protection(connection, export_id=export_id)
        return (False, None) if row is None else (row["protected"], row["sealed"])

    async def keep_command(self, connection: Connection, command: AssembleFile, traceparent: str) -> None:
        """Record a file, its next parts and, with the last, what publishing needs."""
        place = {**_place(file_id(command)), "org_id": command.org_id}
        await _queries.keep_file(
            connection, **place, name=command.name, media_type=command.media_type, key=command.key, express=command.express,
            head=command.head, separator=command.separator, tail=command.tail, empty=command.empty, traceparent=traceparent,
        )  # fmt: skip
        if command.parts:
            p = command.parts
            await _queries.keep_parts(
                connection, **place, numbers=[x.number for x in p], keys=[x.key for x in p], rows=[x.rows for x in p],
                bytes=[x.bytes for x in p], sha256=[x.sha256 for x in p],
                first_keys=[x.first_key for x in p], last_keys=[x.last_key for x in p], crc32=[x.crc32 for x in p], notes=[x.note for x in p],
            )  # fmt: skip
        if command.last:
            await self.keep_publication(connection, command)
            total = max((x.number for x in command.parts), default=0)
            await _queries.close_file(connection, **_place(file_id(command)), parts_total=total)

    async def keep_publication(self, connection: Connection, command: AssembleFile) -> None:
        await _queries.keep_publication(
            connection, export_id=command.export_id, org_id=command.org_id, files_total=command.files_total,
            manifest_key=command.manifest_key, manifest_base=command.manifest,
            expires_at=datetime.fromisoformat(command.expires_at) if command.expires_at else None, sftp_folder=command.sftp_folder,
        )  # fmt: skip

    async def keep_whole_file(self, connection: Connection, command: AssembleFile, written: Written) -> None:
        await _queries.keep_whole_file(
            connection, **_place(file_id(command)), org_id=command.org_id, name=command.name, media_type=command.media_type,
            key=written.key, express=command.express, parts_total=len(command.parts), rows=written.rows, bytes=written.bytes,
            sha256=written.sha256, entry=written.entry,
        )  # fmt: skip

    # ---- publishing

    async def lock_publication(self, connection: Connection, export_id: str) -> Publication | None:
        row = await _queries.lock_publication(connection, export_id=export_id)
        if row is None:
            return None
        over = bool(row["published_at"] or row["failed_code"] or row["discard"])
        files_go = bool(row["failed_code"] or row["discard"] == "files")
        return Publication(
            row["files_total"], row["manifest_key"], row["manifest_base"], over, files_go, row["signing_key"], row["sftp_folder"]
        )

    async def whole_files(self, connection: Connection, export_id: str) -> list[WholeFile]:
        rows = await _all(_queries.whole_files(connection, export_id=export_id))
        return [
            WholeFile(
                FileId(export_id, r["format"], r["file_number"]), r["name"], r["media_type"], r["rows"], r["bytes"], r["sha256"], r["entry"]
            )
            for r in rows
        ]

    async def file_closes(self, connection: Connection, file: FileId, worker: str, files_total: int) -> bool:
        """The last part of a file is in: whether that is so of every file of its export now."""
        return bool(await _queries.file_closes(connection, **_place(file), worker=worker, files_total=files_total))

    async def file_is_whole(self, connection: Connection, file: FileId, worker: str, written: Written) -> bool:
        """False where the file is not this worker's any more."""
        return bool(
            await _queries.file_is_whole(
                connection,
                **_place(file),
                worker=worker,
                key=written.key,
                rows=written.rows,
                bytes=written.bytes,
                sha256=written.sha256,
                entry=written.entry,
            )
        )

    async def publish(self, connection: Connection, export_id: str, manifest: str) -> None:
        await _queries.publish(connection, export_id=export_id, manifest=manifest)

    async def fail_export(self, connection: Connection, export_id: str, org_id: str, code: str) -> bool:
        """False where the export is published, failed or discarded already."""
        if not await _queries.fail_export(connection, export_id=export_id, org_id=org_id, code=code):
            return False
        await _queries.forget_parts(connection, export_id=export_id)
        await _queries.forget_files(connection, export_id=export_id)
        return True

    # ---- leases

    async def lease_files(self, worker: str, seconds: float, express: bool, files: int) -> list[Lease]:
        async with across_tenants(self._pool) as connection:
            rows = await _all(_queries.lease_files(connection, worker=worker, seconds=seconds, express=express, files=files))
        return [_lease(row) for row in rows]

    async def renew_leases(self, worker: str, seconds: float, files: Sequence[FileId]) -> set[FileId]:
        """Those that are still this worker's."""
        async with across_tenants(self._pool) as connection:
            rows = await _all(_queries.renew_leases(
                connection, worker=worker, seconds=seconds, export_ids=[f.export_id for f in files], formats=[f.format for f in files],
                file_numbers=[f.number for f in files],
            ))  # fmt: skip
        return {FileId(r["export_id"], r["format"], r["file_number"]) for r in rows}

    async def release_lease(self, lease: Lease, worker: str) -> None:
        async with tenant(self._pool, lease.org_id) as connection:
            await _queries.release_lease(connection, **_place(lease.id), worker=worker)

    async def parts_from(self, lease: Lease, worker: str, next_number: int) -> tuple[bool, int | None, list[AssemblyPart]]:
        """(whether the file is still ours, how many parts it has where that is known, the parts that have come, from `next_number` on)."""
        async with tenant(self._pool, lease.org_id) as connection:
            rows = await _all(
                _queries.parts_from(connection, **_place(lease.id), worker=worker, next_number=next_number, parts=PARTS_READ_MAX)
            )
        if not rows:
            return False, None, []
        parts = [{name: value for name, value in row.items() if name != "parts_total"} for row in rows if row["number"] is not None]
        return True, rows[0]["parts_total"], [AssemblyPart(**part) for part in parts]

    # ---- discarding

    async def ask_discard(self, connection: Connection, export_id: str, org_id: str, files: bool) -> None:
        await _queries.ask_discard(connection, export_id=export_id, org_id=org_id, discard="files" if files else "parts")
        await _queries.forget_parts(connection, export_id=export_id)
        if files:
            await _queries.forget_files(connection, export_id=export_id)

    async def discard_next(self, remove: Callable[[Discard], Awaitable[bool]]) -> bool:
        """Have the oldest export that is due discarded, while no other process takes it; False where there is none.

        `remove` answers whether all went; if not, the export is due again later.
        """
        async with across_tenants(self._pool) as connection:
            row = await _queries.next_discard(connection)
            if row is None:
                return False
            removed = await remove(Discard(row["export_id"], row["org_id"], row["discard"] == "files"))
            await (_queries.discarded if removed else _queries.postpone_discard)(connection, export_id=row["export_id"])
            return True

    async def forget_discarded(self, remove: Callable[[Discard], Awaitable[bool]]) -> None:
        """Forget exports whose files went long ago, after a last look for what a late worker may have left."""
        async with across_tenants(self._pool) as connection:
            for row in await _all(_queries.long_discarded(connection)):
                if await remove(Discard(row["export_id"], row["org_id"], files=True)):
                    await _queries.forget_publication(connection, export_id=row["export_id"])

    async def statuses(self, export_ids: Sequence[str]) -> dict[str, str]:
        async with across_tenants(self._pool) as connection:
            rows = await _all(_queries.statuses(connection, export_ids=list(export_ids)))
        return {r["id"]: r["status"] for r in rows}

    async def prune(self) -> None:
        async with across_tenants(self._pool) as connection:
            await self.inbox.prune(connection)

    # ---- downloads

    async def find_file(self, org_id: str, export_id: str, name: str) -> Found | None:
        async with tenant(self._pool, org_id) as connection:
            r = await _queries.standing(connection, export_id=export_id, name=name)
        if r is None:
            return None
        return Found(_standing(r), r["published_at"], r["key"], r["media_type"], r["bytes"] or 0, r["sha256"] or "", r["purpose"] or "")

    async def find_manifest(self, org_id: str, export_id: str) -> tuple[Standing, str, str] | None:
        """Where it stands, its text, and the name that the store keeps it under."""
        async with tenant(self._pool, org_id) as connection:
            r = await _queries.manifest(connection, export_id=export_id)
        return None if r is None else (_standing(r), r["manifest"] or "", (r["manifest_key"] or "").rpartition("/")[2])


def _standing(r: Any) -> Standing:
    return Standing(r["status"], r["deleted"], r["expires_at"], r["published_at"] is not None, r["discarded"], r["held"])


def _lease(r: Any) -> Lease:
    layout = Layout(r["head"], r["separator"], r["tail"], r["empty"])
    return Lease(
        FileId(r["export_id"], r["format"], r["file_number"]), r["org_id"], r["express"], r["traceparent"] or "",
        FileToWrite(r["name"], r["media_type"], r["key"], r["format"], layout),
    )  # fmt: skip
