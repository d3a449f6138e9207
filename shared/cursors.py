"""Cursors: opaque, signed, and good only for what gave them."""

import base64
import binascii
import hashlib
import hmac
import json
from datetime import datetime
from typing import Any

from shared.errors import ApiError, Detail, invalid_request

CURSOR_MAX = 1_000
_MAC = 16


def sign(secret: bytes, scope: str, at: datetime, last_id: str) -> str:
    """A list's cursor behind (at, last_id); `scope` says which list it belongs to (organisation and filters)."""
    return seal(secret, scope, [at.isoformat(), last_id])


def open_(secret: bytes, scope: str, cursor: str) -> tuple[datetime, str]:
    """(at, last_id). Raises ApiError 400 for anything that `sign` didn't make for this list."""
    at, last_id = unseal(secret, scope, cursor)
    return datetime.fromisoformat(at), last_id


def seal(secret: bytes, scope: str, place: list[Any]) -> str:
    """A cursor that holds `place` (JSON)."""
    payload = json.dumps(place, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(_mac(secret, scope, payload) + payload).rstrip(b"=").decode()


def unseal(secret: bytes, scope: str, cursor: str, length_max: int = CURSOR_MAX) -> list[Any]:
    """What `seal` was given. Raises ApiError 400 for anything that it didn't make for this scope."""
    if len(cursor) > length_max or not cursor.isascii():
        raise _wrong()
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise _wrong() from error
    mac, payload = raw[:_MAC], raw[_MAC:]
    if not hmac.compare_digest(mac, _mac(secret, scope, payload)):
        raise _wrong()
    place: list[Any] = json.loads(payload)
    return place


def _mac(secret: bytes, scope: str, payload: bytes) -> bytes:
    return hmac.digest(secret, hashlib.sha256(scope.encode()).digest() + payload, "sha256")[:_MAC]


def _wrong() -> ApiError:
    return invalid_request(Detail("cursor", "is not a cursor that this list gave"))
