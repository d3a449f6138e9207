"""Private keys at rest: AES-256-GCM under a key that comes from a setting and from nowhere else."""

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

NONCE_BYTES = 12


class CannotOpen(ValueError):
    """Sealed under another secret, for another name, or changed."""


def seal(secret: str, name: str, private: bytes, nonce: bytes) -> bytes:
    """`private` as it may lie in a database; `nonce` is random and used once."""
    return nonce + AESGCM(_key(secret)).encrypt(nonce, private, name.encode())


def open_sealed(secret: str, name: str, sealed: bytes) -> bytes:
    """What `seal` was given. Raises CannotOpen."""
    try:
        return AESGCM(_key(secret)).decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], name.encode())
    except (InvalidTag, ValueError) as error:
        raise CannotOpen from error


def _key(secret: str) -> bytes:
    return HKDF(SHA256(), 32, None, b"waybill signing keys 1").derive(secret.encode())
