"""Mail that comes back. It goes to an address that says which delivery to whom it was (VERP), signed, so that nobody else can say so; and says in its
delivery status (RFC 3464) whether it was for good."""

import base64
import hashlib
import hmac
import re
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import Message
from email.utils import getaddresses

from services.delivery.core.mail import quoted

MESSAGE_BYTES_MAX = 1 << 20
LOCAL_PART_MAX = 64  # RFC 5321 4.5.3.1.1
_ID = re.compile(r"dlv_([0-9A-HJKMNP-TV-Z]{26})")
_MARK, _SIGNATURE = 6, 12  # characters
TOKEN_CHARACTERS = 26 + _MARK + _SIGNATURE
BEFORE_TOKEN_MAX = LOCAL_PART_MAX - TOKEN_CHARACTERS - 1
_TOKEN = re.compile(rf"\+([0-9a-z]{{{TOKEN_CHARACTERS}}})@")
# Where servers write to whom a mail was, when they hand it to a program.
_HEADERS = ("To", "Delivered-To", "X-Original-To", "Envelope-To", "X-Envelope-To")


@dataclass(frozen=True)
class Sent:
    """One mail. `mark`: which of the delivery's recipients; see `mark_of`."""

    delivery_id: str
    mark: str


@dataclass(frozen=True)
class Bounce:
    """A mail that came back for good. `why`: the status and what the last server said, without addresses."""

    sent: Sent
    why: str


def return_path(bounces: str, secret_key: str, delivery_id: str, address: str) -> str:
    """Where the mail to `address` comes back to: `bounces@b.example` with a token behind a plus. Mail servers may change the case of what stands before the
    @, so the token has none."""
    local, _, domain = bounces.rpartition("@")
    found = _ID.fullmatch(delivery_id)
    if found is None:
        return bounces
    body = found[1].lower() + mark_of(address)
    return f"{local}+{body}{_signature(secret_key, body)}@{domain}"


def mark_of(address: str) -> str:
    return _text(hashlib.sha256(address.lower().encode()).digest(), _MARK)


def read(secret_key: str, raw: bytes) -> Bounce | None:
    """None: not a mail of ours that came back, or not (yet) for good: an absence, a delay."""
    message = message_from_bytes(raw, policy=policy.compat32)
    sent = _sent(secret_key, message)
    why = _why(message)
    return Bounce(sent, why) if sent is not None and why is not None else None


def _sent(secret_key: str, message: Message) -> Sent | None:
    given = [str(value) for name in _HEADERS for value in message.get_all(name, [])]
    for _, address in getaddresses(given):
        if found := _TOKEN.search(address.lower()):
            body, signature = found[1][:-_SIGNATURE], found[1][-_SIGNATURE:]
            if hmac.compare_digest(signature, _signature(secret_key, body)):
                return Sent(f"dlv_{body[:26].upper()}", body[26:])
    return None


def _why(message: Message) -> str | None:
    """What the first recipient's part says that failed for good."""
    for part in message.walk():
        if part.get_content_type() != "message/delivery-status":
            continue
        blocks = part.get_payload()
        for block in blocks if isinstance(blocks, list) else []:
            if not isinstance(block, Message) or str(block.get("Action", "")).strip().lower() != "failed":
                continue
            diagnostic = str(block.get("Diagnostic-Code", "")).partition(";")[2].strip()
            return quoted(f"{str(block.get('Status', '')).strip()} {diagnostic}".strip())
    return None


def _signature(secret_key: str, body: str) -> str:
    return _text(hmac.digest(secret_key.encode(), b"waybill mail return path 1\n" + body.encode(), hashlib.sha256), _SIGNATURE)


def _text(raw: bytes, length: int) -> str:
    return base64.b32encode(raw).decode().lower()[:length]
