"""What an S3-compatible store and the way to it can answer, sorted into passing, lasting and not there."""

import contextlib
from collections.abc import Iterator

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    HTTPClientError,
    IncompleteReadError,
    NoCredentialsError,
    ParamValidationError,
    PartialCredentialsError,
    ResponseStreamingError,
)
from urllib3.exceptions import HTTPError as Urllib3Error

from shared.errors import PermanentError, TransientError, WaybillError
from shared.storage.base import NotThere

_NOT_THERE = ("NoSuchKey", "404", "NotFound")
_FULL = ("QuotaExceeded", "XMinioStorageFull", "InsufficientStorage", "StorageFull", "507")
# These pass though their status says otherwise: an upload that a sweeper took is begun again, a race is over the next time.
_PASSING = ("NoSuchUpload", "OperationAborted", "ConditionalRequestConflict", "RequestTimeout", "SlowDown", "InvalidPart")
_HTTP_SERVER_ERROR = 500
_TOO_MANY_REQUESTS = 429


def sorted_error(error: Exception) -> WaybillError | None:
    """The error as Waybill's; None for what isn't the store's (a defect of ours)."""
    if isinstance(error, ClientError):
        return _of_answer(error)
    if isinstance(error, NoCredentialsError | PartialCredentialsError | ParamValidationError):
        return PermanentError("store_refused", f"The store's settings are not usable: {type(error).__name__}.")
    if isinstance(error, HTTPClientError | IncompleteReadError | ResponseStreamingError | BotoCoreError | Urllib3Error | OSError):
        return TransientError(f"The store: {type(error).__name__}", "store")
    return None


def _of_answer(error: ClientError) -> WaybillError:
    code = str(error.response.get("Error", {}).get("Code", ""))
    status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    if code in _FULL or str(status) in _FULL:
        return PermanentError("store_full", f"The store is full: {code}.")
    if code in _PASSING or status >= _HTTP_SERVER_ERROR or status == _TOO_MANY_REQUESTS:
        return TransientError(f"The store: {code or status}", "store")
    if code in _NOT_THERE:
        return NotThere("No object has this key.")
    return PermanentError("store_refused", f"The store refused: {code or status}.")


@contextlib.contextmanager
def sorted_errors() -> Iterator[None]:
    try:
        yield
    except WaybillError:
        raise
    except Exception as error:
        known = sorted_error(error)
        if known is None:
            raise
        raise known from error
