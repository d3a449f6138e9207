"""Writing to S3: one request for what is small, one multipart upload for what is large, in bounded memory."""

from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from shared.errors import PermanentError, TransientError
from shared.storage.compose import PART_BYTES_MIN, PARTS_MAX, compose, least_bytes
from shared.storage.names import checked_key
from shared.storage.s3_errors import sorted_errors

WHOLE_BYTES_MAX = 16 << 20  # up to here one PUT is quicker than a multipart upload of four requests
PIECE_BYTES = 8 << 20
IN_FLIGHT_MAX = 2


@dataclass(frozen=True)
class Target:
    """The object to write, and what it is written with."""

    client: Any
    pool: ThreadPoolExecutor
    bucket: str
    key: str
    media_type: str

    @property
    def place(self) -> dict[str, str]:
        return {"Bucket": self.bucket, "Key": self.key}

    def put(self, data: bytes | bytearray) -> None:
        with sorted_errors():
            self.client.put_object(**self.place, Body=bytes(data), ContentType=self.media_type)


class Multipart:
    """One multipart upload, begun with its first part. Parts go up by other threads, two at a time, so memory stays bounded."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._upload_id = ""
        self._etags: list[Future[str]] = []
        self._running: deque[Future[str]] = deque()

    @property
    def parts_used(self) -> int:
        return len(self._etags)

    def upload(self, data: bytes) -> None:
        self._start(lambda number: self._target.client.upload_part(**self._part(number), Body=data)["ETag"])

    def copy(self, key: str, start: int, end: int) -> None:
        source = {"CopySource": {"Bucket": self._target.bucket, "Key": key}, "CopySourceRange": f"bytes={start}-{end - 1}"}
        self._start(lambda number: self._target.client.upload_part_copy(**self._part(number), **source)["CopyPartResult"]["ETag"])

    def complete(self) -> None:
        """Waits for the parts; the object is there on return."""
        parts = [{"PartNumber": number, "ETag": etag.result()} for number, etag in enumerate(self._etags, 1)]
        with sorted_errors():
            self._target.client.complete_multipart_upload(
                **self._target.place, UploadId=self._upload_id, MultipartUpload={"Parts": parts}
            )  # fmt: skip
        self._upload_id = ""

    def abort(self) -> None:
        """A part that arrives after the abort would stay: so first wait for those on their way."""
        for part in self._running:
            part.cancel() or part.exception()
        if self._upload_id:
            with sorted_errors():
                self._target.client.abort_multipart_upload(**self._target.place, UploadId=self._upload_id)
            self._upload_id = ""

    def _part(self, number: int) -> dict[str, Any]:
        return {**self._target.place, "UploadId": self._upload_id, "PartNumber": number}

    def _start(self, send: Callable[[int], str]) -> None:
        if not self._upload_id:
            with sorted_errors():
                begun = self._target.client.create_multipart_upload(**self._target.place, ContentType=self._target.media_type)
            self._upload_id = begun["UploadId"]
        if self.parts_used == PARTS_MAX:
            raise PermanentError("store_refused", "The object is too large for the store.")
        while len(self._running) >= IN_FLIGHT_MAX:
            self._running.popleft().result()

        def work(number: int = self.parts_used + 1) -> str:
            with sorted_errors():
                return send(number)

        future = self._target.pool.submit(work)
        self._etags.append(future)
        self._running.append(future)


class S3Sink:
    """An object whose length isn't known yet: a PUT if it stays small, a multipart upload from 16 MiB on."""

    def __init__(self, target: Target) -> None:
        self._target, self._upload, self._buffer = target, Multipart(target), bytearray()

    def write(self, data: bytes | memoryview) -> None:
        view = memoryview(data).cast("B")
        while view:
            limit = self._limit()
            taken = view[: limit - len(self._buffer)]
            self._buffer += taken
            view = view[len(taken) :]
            if len(self._buffer) >= limit:
                self._flush()

    def complete(self) -> None:
        if self._upload.parts_used == 0:
            return self._target.put(self._buffer)
        if self._buffer:
            self._flush()
        return self._upload.complete()

    def abort(self) -> None:
        self._upload.abort()

    def _limit(self) -> int:
        used = self._upload.parts_used
        return WHOLE_BYTES_MAX if used == 0 else max(PIECE_BYTES, least_bytes(used))

    def _flush(self) -> None:
        self._upload.upload(bytes(self._buffer))
        self._buffer.clear()


class S3Writer:
    """A file assembled by the store: large objects are copied inside it, small ones and separators are merged and uploaded."""

    def __init__(self, target: Target, minimum: int = PART_BYTES_MIN) -> None:
        self._target, self._upload, self._buffer, self._minimum = target, Multipart(target), bytearray(), minimum

    def append(self, data: bytes | memoryview) -> None:
        view = memoryview(data).cast("B")
        while view:
            taken = view[: max(1, self._least() - len(self._buffer))]
            self._buffer += taken
            view = view[len(taken) :]
            if len(self._buffer) >= self._least():
                self._flush()

    def append_object(self, key: str, size: int, pieces: Iterable[bytes | memoryview]) -> None:
        plan = compose(len(self._buffer), size, self._upload.parts_used, self._minimum)
        lead, seen = bytearray(), 0
        for piece in pieces:
            if len(lead) < plan.lead:
                lead += piece[: plan.lead - len(lead)]
            seen += len(piece)
        if seen != size:
            raise TransientError("The part changed while it was appended", "store")
        self.append(memoryview(lead))
        if plan.ranges and self._buffer:
            self._flush()
        for start, end in plan.ranges:
            self._upload.copy(checked_key(key), start, end)

    def complete(self) -> None:
        if self._upload.parts_used == 0:
            return self._target.put(self._buffer)
        if self._buffer:
            self._flush()
        return self._upload.complete()

    def abort(self) -> None:
        self._upload.abort()

    def _least(self) -> int:
        return least_bytes(self._upload.parts_used, self._minimum)

    def _flush(self) -> None:
        self._upload.upload(bytes(self._buffer))
        self._buffer.clear()
