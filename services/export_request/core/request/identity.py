"""What a request is known by, before anything in it is looked at: its body's identity, its idempotency key, the export it is measured from."""

import hashlib
import hmac
from typing import Any

import rfc8785

from shared.errors import Detail, invalid_request
from shared.formats import registry as formats

ENVELOPE = frozenset({"org_id", "request_id", "requested_by"})  # what a Kafka message has besides the body
KEY_MAX = 255


def body_sha256(body: Any, secret: bytes) -> bytes:
    """The identity of a body: SHA-256 of its RFC 8785 form without the envelope. Raises ApiError 400 where it has none.

    A password is in it under `secret`: nobody who reads the digest can try passwords on it.
    """
    if isinstance(body, dict):
        body = {k: v for k, v in body.items() if k not in ENVELOPE}
        if isinstance(password := body.get("password"), str):
            body["password"] = hmac.digest(secret, b"waybill body 1\0" + password.encode(errors="surrogatepass"), "sha256").hex()
    try:
        return hashlib.sha256(rfc8785.dumps(body)).digest()
    except (rfc8785.CanonicalizationError, RecursionError) as error:
        raise invalid_request(Detail("", "a number in the body is out of range")) from error


def check_key(key: str, field: str) -> None:
    """Raises ApiError 400 for an idempotency key that can't be one."""
    if not 1 <= len(key) <= KEY_MAX or not key.isprintable():
        raise invalid_request(Detail(field, f"must have 1 to {KEY_MAX} printable characters"))


def asks_for_document(body: Any) -> bool:
    """Whether a body, right or wrong, names a format that shows the organisation's branding."""
    named = [body.get("format"), *_listed(body.get("formats"))] if isinstance(body, dict) else []
    return any(isinstance(name, str) and name in formats.names() and formats.get(name).document for name in named)


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def since_of(body: Any) -> str | None:
    """The id of the export that a delta is asked for since; null for a whole export. Raises ApiError 400 where it is no text."""
    if not isinstance(body, dict) or "since" not in body:
        return None
    if not isinstance(body["since"], str):
        raise invalid_request(Detail("since", "must be text: the id of an export"))
    return body["since"]
