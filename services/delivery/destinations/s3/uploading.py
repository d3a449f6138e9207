"""One file's way into a bucket. It is there whole under its key, once, or not at all: one request with the file's checksum, or an upload in parts that another
attempt goes on with."""

import asyncio
import base64
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from itertools import groupby
from typing import Any, TypeVar

from services.delivery.core.destinations.answers import Answer
from services.delivery.core.destinations.problems import Code, Undelivered
from services.delivery.core.destinations.s3 import answers
from services.delivery.core.destinations.s3.parts import Note, Part, part_bytes_of, parts_of
from services.delivery.destinations.carrier import Ledger, Parcel
from services.delivery.destinations.s3.client import Account, S3Client, expect
from services.delivery.destinations.web import Content, content_of, pieces_of, whole
from shared.errors import TransientError

T = TypeVar("T")
PARTS_AT_ONCE = 3
TRIES, PAUSE_SECONDS = 3, 0.2  # of one request, where waiting a moment may be enough
COMPLETING_SECONDS = 300.0
_PASSING = (Code.unavailable, Code.disconnected)  # not silence: that took long enough
ABORT, LIST_UPLOADS, LIST_PARTS, GET, PUT = (
    "s3:AbortMultipartUpload",
    "s3:ListBucketMultipartUploads",
    "s3:ListMultipartUploadParts",
    "s3:GetObject",
    "s3:PutObject",
)


class Budget:
    """Bytes of memory for parts that are on their way, of all uploads together."""

    def __init__(self, size: int) -> None:
        self._all = self._left = size
        self._freed = asyncio.Event()

    async def take(self, size: int) -> None:
        """What is larger than all of it waits until nothing else is taken."""
        while self._left < size and self._left < self._all:
            self._freed.clear()
            await self._freed.wait()
        self._left -= size

    def give(self, size: int) -> None:
        self._left += size
        self._freed.set()


@dataclass(frozen=True)
class Means:
    client: S3Client
    budget: Budget


def object_headers(config: Mapping[str, Any], media_type: str, metadata: Mapping[str, str]) -> dict[str, str]:
    """What an object is to be like."""
    wanted = {
        "x-amz-server-side-encryption": config.get("encryption"), "x-amz-server-side-encryption-aws-kms-key-id": config.get("kms_key_id"),
        "x-amz-storage-class": config.get("storage_class"), "x-amz-acl": config.get("acl"),
    }  # fmt: skip
    return {"Content-Type": media_type, **{n: v for n, v in wanted.items() if v}, **{f"x-amz-meta-{n}": v for n, v in metadata.items()}}


async def put(client: S3Client, account: Account, key: str, headers: Mapping[str, str], content: Content) -> None:
    """In one request. The store compares what it gets with both checksums, and keeps nothing that differs."""
    checked = {**headers, "x-amz-checksum-sha256": base64.b64encode(bytes.fromhex(content.sha256)).decode()}
    answer = await _tried(lambda: client.do(PUT, account, "PUT", key, headers=checked, content=content))
    if "ETag" not in answer.headers:
        raise Undelivered(Code.rejected, f"{account.bucket.where} is no S3 store: it took a file, and answered as none does.")


class Upload:
    """Of one file under one key. `headers`: what the object is to be like."""

    def __init__(self, means: Means, account: Account, key: str, parcel: Parcel, headers: Mapping[str, str], ledger: Ledger) -> None:
        self._client, self._budget, self._account = means.client, means.budget, account
        self._key, self._parcel, self._headers, self._ledger = key, parcel, headers, ledger

    async def is_there(self) -> bool:
        """Whether the very same file is there, brought by us. Who may only write doesn't learn it: then it is brought again, onto itself."""
        answer = await _tried(self._head)
        length, checksum = answer.headers.get("Content-Length"), answer.headers.get("x-amz-meta-sha256")
        return answer.status == 200 and length == str(self._parcel.size) and checksum == self._parcel.sha256

    async def _head(self) -> Answer:
        answer = await self._client.ask(GET, self._account, "HEAD", self._key)
        if answer.status in (301, 307, 400) and "x-amz-bucket-region" in answer.headers:
            expect(answer, GET, self._account)  # other refusals have no words here: the next request says them
        return answer

    async def whole(self) -> None:
        await put(self._client, self._account, self._key, self._headers, whole(self._parcel))

    async def in_parts(self, note: Note | None) -> None:
        """`note`: of an attempt before, for this key."""
        upload, there = await self._begun(note)
        parts = parts_of(self._parcel.size)
        sent = {part.number: there[part.number][1] for part in parts if there.get(part.number, (-1, ""))[0] == part.size}
        sent |= await self._send(upload, [part for part in parts if part.number not in sent])
        await self._complete(upload, sent)

    async def _begun(self, note: Note | None) -> tuple[str, dict[int, tuple[int, str]]]:
        """An upload, and the parts that it has."""
        if note is not None and note.upload is None:  # somebody died while it was begun: its id is not known, and nothing is in it
            await abort(self._client, self._account, note)
        if note is not None and note.upload is not None and (there := await self._parts(note.upload)) is not None:
            return note.upload, there
        await self._ledger.keep(self._parcel.name, Note(self._key).text)
        answer = await self._client.do(PUT, self._account, "POST", self._key, {"uploads": ""}, self._headers)
        upload = _read(answers.upload_id, answer, self._account)
        await self._ledger.keep(self._parcel.name, Note(self._key, upload).text)
        return upload, {}

    async def _parts(self, upload: str) -> dict[int, tuple[int, str]] | None:
        """None: there is no such upload any more. Who may not list them begins anew."""
        there: dict[int, tuple[int, str]] = {}
        marker: str | None = ""
        while marker is not None:
            query = {"uploadId": upload, **({"part-number-marker": marker} if marker else {})}
            answer = await _tried(lambda query=query: self._client.ask(LIST_PARTS, self._account, "GET", self._key, query))  # type: ignore[misc]
            if (error := answers.error_of(answer)) is not None and error.code == "NoSuchUpload":
                return None
            if answer.status == 403:
                await abort(self._client, self._account, Note(self._key, upload))
                return None
            expect(answer, LIST_PARTS, self._account)
            page, marker = _read(answers.parts_there, answer, self._account)
            there |= page
        return there

    async def _send(self, upload: str, missing: list[Part]) -> dict[int, str]:
        """Number → ETag. The file is read once, in order; a few parts are on their way at once."""
        size, slots, etags = part_bytes_of(self._parcel.size), asyncio.Semaphore(PARTS_AT_ONCE), dict[int, str]()

        async def send(part: Part, data: bytes) -> None:
            etags[part.number] = await self._put_part(upload, part, data)

        def given_back(_: Any) -> None:
            slots.release()
            self._budget.give(size)

        try:
            async with asyncio.TaskGroup() as group:
                for run in _runs(missing):
                    async with aclosing(pieces_of(self._parcel, run[0].start, sum(part.size for part in run))) as pieces:
                        source = _Source(pieces)
                        for part in run:
                            await slots.acquire()
                            await self._budget.take(size)
                            try:
                                data = await source.read(part.size)
                            except BaseException:
                                given_back(None)
                                raise
                            group.create_task(send(part, data)).add_done_callback(given_back)
                            del data
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from None
        return etags

    async def _put_part(self, upload: str, part: Part, data: bytes) -> str:
        sha256, md5 = await asyncio.to_thread(_checksums, data)

        query, headers = {"partNumber": str(part.number), "uploadId": upload}, {"Content-MD5": md5}
        content = content_of(data, sha256)
        answer = await _tried(lambda: self._client.do(PUT, self._account, "PUT", self._key, query, headers, content))
        if not (etag := answer.headers.get("ETag")):
            raise Undelivered(Code.rejected, f"{self._account.bucket.where} took a part of a file, and answered as no S3 store does.")
        return etag

    async def _complete(self, upload: str, sent: dict[int, str]) -> None:
        body = answers.completion(sent)
        answer = await self._client.ask(
            PUT, self._account, "POST", self._key, {"uploadId": upload}, {"Content-Type": "application/xml"}, body, COMPLETING_SECONDS
        )  # fmt: skip
        error = answers.error_of(answer)
        if error is not None and error.code == "NoSuchUpload" and await self.is_there():
            return  # an answer was lost on the way
        if error is not None and error.code in ("InvalidPart", "InvalidPartOrder", "EntityTooSmall", "MalformedXML"):
            await abort(self._client, self._account, Note(self._key, upload))  # nothing that can be gone on with
        expect(answer, PUT, self._account)


async def abort(client: S3Client, account: Account, note: Note) -> None:
    """Take away what an upload left. That it is gone is no error; what can't be looked for is left."""
    uploads = [note.upload] if note.upload else await _uploads(client, account, note.key)
    for upload in uploads:
        answer = await _tried(lambda upload=upload: client.ask(ABORT, account, "DELETE", note.key, {"uploadId": upload}))  # type: ignore[misc]
        if (error := answers.error_of(answer)) is not None and error.code != "NoSuchUpload":
            expect(answer, ABORT, account)


async def _uploads(client: S3Client, account: Account, key: str) -> list[str]:
    answer = await _tried(lambda: client.ask(LIST_UPLOADS, account, "GET", "", {"uploads": "", "prefix": key}))
    return [] if answers.error_of(answer) is not None else _read(lambda body: answers.uploads_of(body, key), answer, account)


async def _tried(request: Callable[[], Awaitable[T]]) -> T:
    """A few times within a moment: a part's failure is not to be a delivery's."""
    for tried in range(1, TRIES):
        try:
            return await request()
        except Undelivered as problem:
            if problem.code not in _PASSING or problem.retry_after:
                raise
            await asyncio.sleep(PAUSE_SECONDS * tried)
    return await request()


class _Source:
    """Pieces of any size, in the sizes that are asked for."""

    def __init__(self, pieces: AsyncIterator[bytes]) -> None:
        self._pieces, self._buffer = pieces, bytearray()

    async def read(self, size: int) -> bytes:
        """Raises TransientError where there are fewer."""
        while len(self._buffer) < size:
            piece = await anext(self._pieces, b"")
            if not piece:
                raise TransientError("The file is shorter than it was", "store")
            self._buffer += piece
        data = bytes(memoryview(self._buffer)[:size])
        del self._buffer[:size]
        return data


def _runs(parts: list[Part]) -> list[list[Part]]:
    """Parts that follow on each other, together."""
    return [[part for _, part in run] for _, run in groupby(enumerate(parts), key=lambda each: each[1].number - each[0])]


def _checksums(data: bytes) -> tuple[str, str]:
    """The sha256 (hex), which is signed, and the MD5 (base64) that buckets with locks ask for."""
    return hashlib.sha256(data).hexdigest(), base64.b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode()


def _read(reader: Callable[[bytes], T], answer: Answer, account: Account) -> T:
    try:
        return reader(answer.body)
    except answers.Unreadable:
        raise Undelivered(Code.rejected, f"{account.bucket.where} answered as no S3 store does.") from None
