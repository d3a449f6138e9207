"""What comes back from formatter and delivery: parts, files, failures. Each message has its effect once, in one transaction."""

import base64
import json
from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime
from typing import Any

import asyncpg

from services.export_request.assembly import Assembly, parts_of, spec_of
from services.export_request.core.life import ENDED, Assembled, ChunkDone, Failed, Happening, Published, Status
from services.export_request.effects import Effects, Row, discard, seconds_between
from services.export_request.queries import load
from services.export_request.releasing import Releaser
from shared.database import Connection, tenant
from shared.datasets.deleted import PREFIX
from shared.datasets.redaction import added
from shared.inbox import Inbox
from shared.messages import ChunkFailed, ChunkFormatted, ExportAssembled, ExportPublished, Part, PublishedFile, PublishFailed
from shared.metrics import STAGE_SECONDS
from shared.outbox import Outbox, Outgoing


class Tracker:
    """Keeps an export's progress."""

    def __init__(
        self, pool: asyncpg.Pool, inbox: Inbox, outbox: Outbox, effects: Effects, assembly: Assembly, releaser: Releaser,
        clock: Callable[[], datetime],
    ) -> None:  # fmt: skip
        self._pool, self._inbox, self._outbox, self._effects, self._assembly = pool, inbox, outbox, effects, assembly
        self._releaser, self._clock, self._queries = releaser, clock, load()

    async def chunk_formatted(self, message_id: str, event: ChunkFormatted) -> None:
        async with tenant(self._pool, event.org_id) as connection:
            if not await self._inbox.claim(connection, message_id):
                return
            row = await self._queries.lock_export(connection, id=event.export_id)
            messages = _late(event, row) if row is None or row["status"] in ENDED else await self._chunk_done(connection, row, event)
            await self._outbox.add(connection, messages)
        self._outbox.wake()
        self._releaser.wake()

    async def _chunk_done(self, connection: Connection, row: Row, event: ChunkFormatted) -> list[Outgoing]:
        now = self._clock()
        parts = json.dumps([_kept(part) for part in event.parts])
        chunk = await self._queries.mark_done(connection, export_id=row["id"], number=event.number, parts=parts, now=now)
        if chunk is None:
            return []
        if chunk["released_at"] is not None:
            STAGE_SECONDS.labels("format").observe(seconds_between(chunk["released_at"], now))
        if [part.format for part in event.parts] != parts_of(spec_of(row["spec"])):
            wrong = Failed("parts_mismatch", f"Chunk {event.number} came back in other formats than were asked for.")
            outcome = await self._effects.apply(connection, row, wrong, now)
            return outcome.messages if outcome else []
        done = ChunkDone(chunk["rows"], _written(row, event), event.unchanged)
        outcome = await self._effects.apply(connection, row, done, now, **_redacted(row, event))
        if outcome is None:
            return []
        if outcome.row["status"] in ENDED:
            return outcome.messages
        return outcome.messages + await self._assembly.send(connection, outcome.row, [chunk["file_number"]])

    async def published(self, message_id: str, event: ExportPublished) -> None:
        """Every file is whole: the export completes where the rows agree, else it fails."""
        async with tenant(self._pool, event.org_id) as connection:
            if not await self._inbox.claim(connection, message_id):
                return
            row = await self._queries.lock_export(connection, id=event.export_id)
            if row is None or row["status"] in ENDED:
                return
            files = sorted(event.files, key=lambda f: (_place(row, f), f.number))
            shown = json.dumps([asdict(file) for file in files], ensure_ascii=False)
            now = self._clock()
            _observe_assembling(row, now)
            outcome = await self._effects.apply(connection, row, _verdict(row, event), now, files=shown)
            if outcome is not None:
                await self._outbox.add(connection, outcome.messages)
        self._outbox.wake()

    async def assembled(self, message_id: str, event: ExportAssembled) -> None:
        """Nothing is left but to publish."""
        await self._happened(message_id, event.export_id, event.org_id, Assembled())

    async def failed(self, message_id: str, event: ChunkFailed | PublishFailed) -> None:
        await self._happened(message_id, event.export_id, event.org_id, Failed(event.code, event.message))
        self._releaser.wake()

    async def _happened(self, message_id: str, export_id: str, org_id: str, happening: Happening) -> None:
        async with tenant(self._pool, org_id) as connection:
            if not await self._inbox.claim(connection, message_id):
                return
            row, now = await self._queries.lock_export(connection, id=export_id), self._clock()
            if row is not None and isinstance(happening, Assembled):
                _observe_assembling(row, now)
            outcome = await self._effects.apply(connection, row, happening, now) if row is not None else None
            if outcome is not None:
                await self._outbox.add(connection, outcome.messages)
        self._outbox.wake()


def _written(row: Row, event: ChunkFormatted) -> tuple[int, ...]:
    """The chunk's rows as the formatter counted them, and as each format holds them: those of a delta, and those that are gone."""
    rows = {part.format: part.rows for part in event.parts}
    return (event.rows, *(rows[name] + rows.get(f"{PREFIX}{name}", 0) for name in row["formats"]))


def _observe_assembling(row: Row, now: datetime) -> None:
    """From the last part until every file has its parts; where publishing was told, that was the end of it."""
    if row["status"] == Status.assembling:
        STAGE_SECONDS.labels("assemble").observe(seconds_between(row["progressed_at"], now))


def _kept(part: Part) -> dict[str, Any]:
    """A part as its chunk keeps it, in JSON; `assembly.py` reads it again."""
    return asdict(part) | {"note": None if part.note is None else base64.b64encode(part.note).decode()}


def _redacted(row: Row, event: ChunkFormatted) -> dict[str, str | None]:
    """What was redacted so far, where the plan asks for it."""
    if spec_of(row["spec"]).redaction is None:
        return {}
    sofar = added(json.loads(row["redacted"]) if row["redacted"] is not None else None, event.redacted)
    return {"redacted": json.dumps(sofar) if sofar is not None else None}


def _late(event: ChunkFormatted, row: Row | None) -> list[Outgoing]:
    """A part that was written after its export had ended: nothing will read it, so it goes."""
    ended = row if row is not None else {"id": event.export_id, "org_id": event.org_id}
    return [discard(ended, files=False)]


def _place(row: Row, file: PublishedFile) -> int:
    formats: list[str] = list(row["formats"])
    return formats.index(file.format) if file.format in formats else len(formats)


def _verdict(row: Row, event: ExportPublished) -> Happening:
    expected = row["files_planned"] * len(parts_of(spec_of(row["spec"])))
    if len(event.files) != expected:
        return Failed("files_mismatch", f"{expected} files were planned, {len(event.files)} published.")
    return Published(tuple(sum(f.rows for f in event.files if f.format == name) for name in row["formats"]))
