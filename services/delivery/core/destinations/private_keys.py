"""How much work it is to open a private key that has a passphrase. Whoever made the key chose that, up to years; it is our processor that does it."""

from base64 import b64decode
from collections.abc import Iterator

ROUNDS_MAX = 500  # of bcrypt (OpenSSH's form): about five seconds. ssh-keygen makes 16 or 24, or what `-a` says
ITERATIONS_MAX = 10_000_000  # of PBKDF2 (PKCS #8): some seconds. OpenSSL makes 2,048, or what `-iter` says
_MAGIC = b"openssh-key-v1\0"
_INTEGER, _CONSTRUCTED, _LONG_TAG = 0x02, 0x20, 0x1F


def is_too_laborious(text: str) -> bool:
    """`text` is a key's, whole, from its first line to its last. One of which it can't be told is."""
    head, _, rest = text.partition("\n")
    try:
        if "OPENSSH" in head:
            return _rounds(_body(rest)) > ROUNDS_MAX
        if "ENCRYPTED" in head:
            ((_, key), *_) = _elements(_body(rest))
            ((_, how), *_) = _elements(key)
            return max(_integers(how), default=0) > ITERATIONS_MAX
    except (ValueError, IndexError, RecursionError):
        return True
    return False  # without a passphrase, or in PEM's old form, which hashes it once


def _body(rest: str) -> bytes:
    """Nothing but base64 may be in it: whoever opens the key is to read the same bytes as we do."""
    return b64decode("".join(rest.partition("-----END")[0].split()), validate=True)


def _rounds(data: bytes) -> int:
    """By OpenSSH's PROTOCOL.key: magic, cipher, KDF, and the KDF's own options: salt, rounds."""
    if not data.startswith(_MAGIC):
        raise ValueError("no key in OpenSSH's form")
    _, rest = _string(data[len(_MAGIC) :])
    kdf, rest = _string(rest)
    options, _ = _string(rest)
    if kdf == b"none":
        return 0
    _, rounds = _string(options)
    return int.from_bytes(rounds[:4], "big")


def _string(data: bytes) -> tuple[bytes, bytes]:
    """A string behind its length, and what follows it."""
    end = 4 + int.from_bytes(data[:4], "big")
    if end > len(data):
        raise ValueError("cut short")
    return data[4:end], data[end:]


def _elements(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Tag and content of what is side by side in DER."""
    while data:
        tag, length, at = data[0], data[1], 2
        if tag & _LONG_TAG == _LONG_TAG:
            raise ValueError("a tag that no key has")
        if length & 0x80:
            at += length & 0x7F
            length = int.from_bytes(data[2:at], "big")
        if at + length > len(data):
            raise ValueError("cut short")
        yield tag, data[at : at + length]
        data = data[at + length :]


def _integers(data: bytes) -> Iterator[int]:
    """All of them, at any depth: iterations are one, whatever the scheme."""
    for tag, content in _elements(data):
        if tag == _INTEGER:
            yield int.from_bytes(content, "big")
        elif tag & _CONSTRUCTED:
            yield from _integers(content)
