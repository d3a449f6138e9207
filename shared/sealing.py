"""Secrets encrypted at rest: AES-256-GCM under a key derived from the process's secret key.

A sealed secret names its key, so that keys can be changed: the new one seals, older ones still open (`SECRET_KEYS_OLD`). What it is for and what it
belongs to (an endpoint's id, an export's) are authenticated with it: a secret moved to another row or table doesn't open.
"""

import hashlib
import secrets
from collections.abc import Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_VERSION = b"\x01"
_KEY_ID_BYTES, _NONCE_BYTES = 4, 12
WEBHOOK_SECRETS, FILE_PASSWORDS = b"waybill webhook secrets 1", b"waybill file passwords 1"
SFTP_HOST_KEYS = b"waybill sftp host keys 1"
SCHEDULE_PASSWORDS = b"waybill schedule passwords 1"
DESTINATION_SECRETS = b"waybill destination secrets 1"
PREFIX_BYTES = len(_VERSION) + _KEY_ID_BYTES


class CannotOpen(Exception):
    """The secret was sealed with a key that isn't known here, or was changed."""


class Seal:
    """Seals with the first key, opens with any. `purpose`: what the secrets are for; each has keys of its own."""

    def __init__(self, secret_keys: Sequence[str], purpose: bytes) -> None:
        self._keys: dict[bytes, AESGCM] = {}
        for text in secret_keys:
            key = HKDF(SHA256(), 32, salt=None, info=purpose).derive(text.encode())
            self._keys.setdefault(_VERSION + hashlib.sha256(key).digest()[:_KEY_ID_BYTES], AESGCM(key))
        self.prefix = next(iter(self._keys))  # of what is sealed now

    def seal(self, secret: bytes, owner: str) -> bytes:
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return self.prefix + nonce + bytes(self._keys[self.prefix].encrypt(nonce, secret, owner.encode()))

    def open(self, sealed: bytes, owner: str) -> bytes:
        """Raises CannotOpen."""
        key = self._keys.get(sealed[:PREFIX_BYTES])
        nonce, body = sealed[PREFIX_BYTES : PREFIX_BYTES + _NONCE_BYTES], sealed[PREFIX_BYTES + _NONCE_BYTES :]
        if key is None:
            raise CannotOpen("sealed with a key that is not among WAYBILL_SECRET_KEY and WAYBILL_SECRET_KEYS_OLD")
        try:
            return bytes(key.decrypt(nonce, body, owner.encode()))
        except (InvalidTag, ValueError) as error:
            raise CannotOpen("changed, or another owner's") from error
