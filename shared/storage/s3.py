"""A store that speaks S3: AWS, SeaweedFS and their like. One client a process; boto3's clients may be used from many threads."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from shared.errors import PermanentError, TransientError
from shared.settings import StoreSettings
from shared.storage.base import NotThere, ObjectInfo
from shared.storage.names import PIECE_BYTES, checked_key, checked_prefix, content_disposition
from shared.storage.s3_errors import sorted_errors
from shared.storage.s3_upload import S3Sink, S3Writer, Target

CONNECTIONS_MAX = 48  # uploads beside the threads of downloads and assemblies
UPLOAD_THREADS = 8
READ_ATTEMPTS = 3
DELETE_KEYS_MAX = 1000


def s3_client(settings: StoreSettings, *, public: bool = False, **options: Any) -> Any:
    """Short times and few tries: who calls knows how to wait. Newer checksums only where asked for: not every S3 knows them.

    `public`: for signing links only, to the store's address as callers reach it; the signature covers the address. `options`: of botocore's Config, in place
    of those here.
    """
    endpoint = (public and settings.s3_public_endpoint) or settings.s3_endpoint
    return boto3.client(
        "s3",
        endpoint_url=endpoint or None,
        region_name=settings.s3_region,
        aws_access_key_id=settings.s3_access_key or None,
        aws_secret_access_key=settings.s3_secret_key or None,
        verify=settings.s3_ca_file or None,
        config=Config(
            connect_timeout=2, read_timeout=20, retries={"max_attempts": 3, "mode": "standard"}, max_pool_connections=CONNECTIONS_MAX,
            s3={"addressing_style": "path"} if endpoint else {}, tcp_keepalive=True, signature_version="s3v4",
            request_checksum_calculation="when_required", response_checksum_validation="when_required",
        ).merge(Config(**options)),
    )  # fmt: skip


class S3Store:
    """Objects of one bucket, which exists. `signer` makes the links that callers get, where they reach the store by another address than we."""

    def __init__(self, client: Any, bucket: str, signer: Any = None) -> None:
        self._client, self._bucket, self._signer = client, bucket, signer or client
        self._pool = ThreadPoolExecutor(UPLOAD_THREADS, "s3-upload")

    def create(self, key: str, media_type: str = "application/octet-stream") -> S3Sink:
        return S3Sink(self._target(key, media_type))

    def assemble(self, key: str, media_type: str) -> S3Writer:
        return S3Writer(self._target(key, media_type))

    def put(self, key: str, data: bytes, media_type: str = "application/octet-stream") -> None:
        sink = self.create(key, media_type)
        try:
            sink.write(data)
            sink.complete()
        except BaseException:
            sink.abort()
            raise

    def info(self, key: str) -> ObjectInfo:
        with sorted_errors():
            found = self._client.head_object(Bucket=self._bucket, Key=checked_key(key))
        return ObjectInfo(key, found["ContentLength"], found["ETag"].strip('"'), found["LastModified"])

    def read(self, key: str, start: int = 0, end: int | None = None, piece_bytes: int = PIECE_BYTES) -> Iterator[bytes]:
        """A connection that breaks in the middle is opened again where it broke, at the same version of the object."""
        if end is not None and end <= start:
            self.info(key)
            return
        position, etag, failures = start, "", 0
        while True:
            try:
                with sorted_errors():
                    body, etag, total = self._open(key, position, end, etag, piece_bytes)
                    for piece in body:
                        position += len(piece)
                        failures = 0
                        yield piece
                if position >= total:
                    return
            except TransientError:
                failures += 1
                if failures == READ_ATTEMPTS:
                    raise

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        with sorted_errors():
            for page in self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=checked_prefix(prefix)):
                for found in page.get("Contents", ()):
                    yield ObjectInfo(found["Key"], found["Size"], found["ETag"].strip('"'), found["LastModified"])

    def delete(self, keys: Sequence[str]) -> None:
        for first in range(0, len(keys), DELETE_KEYS_MAX):
            objects = [{"Key": checked_key(key)} for key in keys[first : first + DELETE_KEYS_MAX]]
            with sorted_errors():
                answer = self._client.delete_objects(Bucket=self._bucket, Delete={"Objects": objects, "Quiet": True})
                for failed in answer.get("Errors", ()):
                    if failed.get("Code") != "NoSuchKey":
                        raise ClientError({"Error": failed, "ResponseMetadata": {"HTTPStatusCode": 500}}, "DeleteObjects")

    def delete_prefix(self, prefix: str) -> int:
        if not prefix:
            raise PermanentError("store_refused", "Deleting everything at once is refused.")
        deleted, keys = 0, []
        for found in self.list(prefix):
            keys.append(found.key)
            if len(keys) == DELETE_KEYS_MAX:
                self.delete(keys)
                deleted, keys = deleted + len(keys), []
        self.delete(keys)
        return deleted + len(keys)

    def abort_stale(self, before: datetime) -> int:
        stale = 0
        with sorted_errors():
            for upload in self._stale(before):
                self._client.abort_multipart_upload(Bucket=self._bucket, Key=upload["Key"], UploadId=upload["UploadId"])
                stale += 1
        return stale

    def count_stale(self, before: datetime) -> int:
        with sorted_errors():
            return sum(1 for _ in self._stale(before))

    def _stale(self, before: datetime) -> Iterator[Any]:
        for page in self._client.get_paginator("list_multipart_uploads").paginate(Bucket=self._bucket):
            yield from (upload for upload in page.get("Uploads", ()) if upload["Initiated"] < before)

    def signed_url(self, key: str, seconds: int, file_name: str, media_type: str) -> str | None:
        named = {"ResponseContentDisposition": content_disposition(file_name), "ResponseContentType": media_type}
        with sorted_errors():
            url: str = self._signer.generate_presigned_url(
                "get_object", Params={"Bucket": self._bucket, "Key": checked_key(key), **named}, ExpiresIn=seconds
            )
        return url

    def check(self) -> None:
        try:
            with sorted_errors():
                self._client.head_bucket(Bucket=self._bucket)
        except NotThere as error:
            raise PermanentError("store_refused", f"The bucket '{self._bucket}' does not exist.") from error

    def _target(self, key: str, media_type: str) -> Target:
        return Target(self._client, self._pool, self._bucket, checked_key(key), media_type)

    def _open(self, key: str, start: int, end: int | None, etag: str, piece_bytes: int) -> tuple[Iterator[bytes], str, int]:
        """(pieces, etag, where the range ends). The first bytes name the version; what follows must be of the same one."""
        asked: dict[str, str] = {"IfMatch": etag} if etag else {}
        if start or end is not None:
            asked["Range"] = f"bytes={start}-{'' if end is None else end - 1}"
        try:
            answer = self._client.get_object(Bucket=self._bucket, Key=checked_key(key), **asked)
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") == "InvalidRange":
                return iter(()), etag, start
            if error.response.get("ResponseMetadata", {}).get("HTTPStatusCode") == 412:
                raise TransientError("The object changed while it was read", "store") from error
            raise
        body = answer["Body"]
        return _pieces(body, piece_bytes), answer["ETag"], start + answer["ContentLength"]


def _pieces(body: Any, piece_bytes: int) -> Iterator[bytes]:
    """Closes the connection where the reader stops early; a connection read to its end goes back to the pool."""
    try:
        yield from body.iter_chunks(piece_bytes)
    finally:
        body.close()
