"""Links that need no key: the claim and its signature travel in the path."""

import base64
import binascii
import hashlib
import hmac
import json
from dataclasses import asdict, dataclass

LINK_SECONDS = 300
TOKEN_CHARACTERS_MAX = 2048
_SIGNATURE_BYTES = 32


class BadLink(ValueError):
    """The token was not made here, or was changed."""


@dataclass(frozen=True)
class Claim:
    """One file of one organisation's export, until an instant (Unix seconds)."""

    org_id: str
    export_id: str
    name: str
    expires: int
    key_id: str = ""  # the API key that asked for the link, and what for: the audit trail wants to know
    purpose: str = ""


def sign(secret_key: str, claim: Claim) -> str:
    body = json.dumps(asdict(claim), separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(_signature(secret_key, body) + body).decode().rstrip("=")


def verify(secret_key: str, token: str) -> Claim:
    """The claim in a token; whether it is still good is the caller's to say. Raises BadLink."""
    if len(token) > TOKEN_CHARACTERS_MAX or not token.isascii():
        raise BadLink
    try:
        raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadLink from error
    signature, body = raw[:_SIGNATURE_BYTES], raw[_SIGNATURE_BYTES:]
    if not hmac.compare_digest(signature, _signature(secret_key, body)):
        raise BadLink
    return Claim(**json.loads(body))


def _signature(secret_key: str, body: bytes) -> bytes:
    return hmac.digest(secret_key.encode(), b"waybill download link 1\n" + body, hashlib.sha256)
