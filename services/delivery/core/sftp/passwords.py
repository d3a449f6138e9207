"""Passwords of SFTP users: made here, long enough that nobody guesses one, and kept as scrypt hashes."""

import hashlib
import hmac
import secrets

# Nothing that is taken for something else, nothing that a shell minds.
_ALPHABET = "abcdefghijkmnpqrstuvwxyz23456789"  # pragma: allowlist secret
_CHARACTERS = 28  # 140 bits
_N, _R, _P, _SALT_BYTES, _HASH_BYTES = 2**14, 8, 1, 16, 32  # 16 MiB and some 40 ms for each hash


def new_password() -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(_CHARACTERS))


def hashed(password: str, salt: bytes) -> bytes:
    """Salt and hash; takes a while: call it in a thread. `salt` is random."""
    return salt + hashlib.scrypt(password.encode(), salt=salt, n=_N, r=_R, p=_P, dklen=_HASH_BYTES)


def new_salt() -> bytes:
    return secrets.token_bytes(_SALT_BYTES)


def matches(password: str, kept: bytes | None) -> bool:
    """Takes the same time whether there is a hash to compare with or not; call it in a thread."""
    against = kept or bytes(_SALT_BYTES + _HASH_BYTES)
    same = hmac.compare_digest(hashed(password, against[:_SALT_BYTES]), against)
    return same and kept is not None
