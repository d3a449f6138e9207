"""POST /v1/records: the records of the topic over HTTP, one a line."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import IO, Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse, Response
from starlette.requests import ClientDisconnect

from services.ingest.body import Lines, is_gzip, unpacked
from services.ingest.core.records import Record, decode, too_large
from services.ingest.metrics import RECORDS
from services.ingest.operations import POST_RECORDS
from services.ingest.store import Store, Written
from shared.errors import ApiError, Detail, PermanentError, invalid_request
from shared.http import Authenticator, Principal, refuse_unknown_parameters

BATCH_RECORDS_MAX = 5000
BATCH_BYTES_MAX = 8 << 20
REFUSED_SHOWN_MAX = 100
SPOOL_BYTES_MAX = 1 << 20  # an atomic body above this waits on disk, not in memory


@dataclass
class Reader:
    """Reads lines into records of one organisation; keeps the first refused lines, counts all."""

    org_id: str
    refused: list[tuple[int, PermanentError]] = field(default_factory=list)
    refused_count: int = 0

    def read(self, lines: Sequence[tuple[int, bytes | None]]) -> list[Record]:
        records = []
        for number, line in lines:
            try:
                records.append(self._record(line))
            except PermanentError as error:
                self.refused_count += 1
                if len(self.refused) < REFUSED_SHOWN_MAX:
                    self.refused.append((number, error))
        return records

    def _record(self, line: bytes | None) -> Record:
        if line is None:
            raise too_large()
        record = decode(line)
        if record.org_id is not None and record.org_id != self.org_id:
            raise PermanentError("wrong_organisation", "is not the organisation of the API key", "org_id")
        return record


def router(store: Store, authenticator: Authenticator) -> APIRouter:
    routes = APIRouter()

    @routes.post("/v1/records", **POST_RECORDS)
    async def post_records(request: Request, principal: Principal = Depends(authenticator.requires("records:write"))) -> Response:  # noqa: B008
        refuse_unknown_parameters(request, {"atomic"})
        atomic = request.query_params.get("atomic", "false")
        if atomic not in ("true", "false"):
            raise invalid_request(Detail("atomic", "must be true or false"))
        reader = Reader(principal.org_id)
        pieces = unpacked(request, is_gzip(request))
        try:
            written = await (_atomically if atomic == "true" else _as_it_streams)(store, reader, pieces, principal)
        except ClientDisconnect:
            return Response(status_code=400)  # nobody is there to read it
        RECORDS.labels("refused").inc(reader.refused_count)
        return JSONResponse(
            {
                "accepted": written.accepted,
                "stale": written.stale,
                "refused": [{"line": n, "code": e.code, "field": e.field, "message": e.message} for n, e in reader.refused],
                "refused_count": reader.refused_count,
            }
        )

    return routes


async def _as_it_streams(store: Store, reader: Reader, pieces: AsyncIterator[bytes], by: Principal) -> Written:
    """Commit batch after batch; the next is read while one is written."""
    accepted = stale = 0
    writing: asyncio.Task[Written] | None = None
    try:
        async for records in _batches(reader, pieces):
            if writing is not None:
                done = await writing
                accepted, stale = accepted + done.accepted, stale + done.stale
            writing = asyncio.create_task(store.write(records, reader.org_id, by))
    finally:
        if writing is not None:
            done = await writing
            accepted, stale = accepted + done.accepted, stale + done.stale
    return Written(accepted, stale)


async def _atomically(store: Store, reader: Reader, pieces: AsyncIterator[bytes], by: Principal) -> Written:
    """Look at every line first, then write all in one transaction (which may have to run again, so the body is kept in a file)."""
    with tempfile.SpooledTemporaryFile(max_size=SPOOL_BYTES_MAX) as spool:

        async def kept() -> AsyncIterator[bytes]:
            async for piece in pieces:
                spool.write(piece)
                yield piece

        async for _ in _batches(reader, kept()):
            pass
        if reader.refused_count:
            RECORDS.labels("refused").inc(reader.refused_count)
            raise _refused_together(reader)
        return await store.write_together(lambda: _batches(Reader(reader.org_id), _pieces_of(spool)), reader.org_id, by)


def _refused_together(reader: Reader) -> ApiError:
    details = [Detail(".".join(filter(None, ["lines", str(n), e.field])), f"{e.code}: {e.message}") for n, e in reader.refused]
    lines = "1 line is" if reader.refused_count == 1 else f"{reader.refused_count} lines are"
    return ApiError(422, "unprocessable", f"{lines} refused, so nothing was written.", details)


async def _pieces_of(spool: Any) -> AsyncIterator[bytes]:
    source: IO[bytes] = spool
    source.seek(0)
    while piece := source.read(256 * 1024):
        yield piece


async def _batches(reader: Reader, pieces: AsyncIterator[bytes]) -> AsyncIterator[list[Record]]:
    """Valid records in batches bounded by count and by bytes of the body."""
    lines = Lines()
    records: list[Record] = []
    size = 0
    async for piece in pieces:
        size += len(piece)
        for start in range(0, len(ended := lines.feed(piece)), BATCH_RECORDS_MAX // 10):
            records += reader.read(ended[start : start + BATCH_RECORDS_MAX // 10])
            await asyncio.sleep(0)
            if len(records) >= BATCH_RECORDS_MAX:
                yield records
                records, size = [], 0
        if size >= BATCH_BYTES_MAX and records:
            yield records
            records, size = [], 0
    records += reader.read(lines.end())
    if records:
        yield records
