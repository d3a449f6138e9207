"""Public keys of SFTP users: OpenSSH's one-line form, the kinds that are worth trusting."""

import base64
import binascii
import hashlib
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_ssh_public_key

KINDS = ("ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", "ssh-rsa")
RSA_BITS_MIN, RSA_BITS_MAX = 2048, 16_384
LINE_CHARACTERS_MAX, COMMENT_CHARACTERS_MAX = 5000, 200


class BadKey(ValueError):
    """What is wrong with it, for who sent it."""


@dataclass(frozen=True)
class PublicKey:
    """`blob` is what a client offers."""

    kind: str
    blob: bytes
    comment: str

    @property
    def fingerprint(self) -> str:
        """As `ssh-keygen -l` shows it."""
        return fingerprint(self.blob)

    @property
    def line(self) -> str:
        return " ".join(filter(None, (self.kind, base64.b64encode(self.blob).decode(), self.comment)))


def fingerprint(blob: bytes) -> str:
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")


def parse(line: Any) -> PublicKey:
    """`line` as it stands in a .pub file. Raises BadKey."""
    if not isinstance(line, str) or not line.isprintable() or len(line) > LINE_CHARACTERS_MAX:
        raise BadKey("must be a public key in OpenSSH's form, on one line")
    if "PRIVATE" in line:
        raise BadKey("is a private key: keep it, and send the .pub file's line")
    kind, _, rest = line.strip().partition(" ")
    encoded, _, comment = rest.strip().partition(" ")
    if kind not in KINDS:
        raise BadKey(f"must begin with one of {', '.join(KINDS)}")
    try:
        blob = base64.b64decode(encoded, validate=True)
        key = load_ssh_public_key(f"{kind} {encoded}".encode())
    except (ValueError, binascii.Error, UnsupportedAlgorithm):
        raise BadKey("can't be read: it was cut short or changed") from None
    if isinstance(key, RSAPublicKey) and not RSA_BITS_MIN <= key.key_size <= RSA_BITS_MAX:
        raise BadKey(f"has {key.key_size} bits; RSA keys need {RSA_BITS_MIN} at least")
    return PublicKey(kind, blob, comment.strip()[:COMMENT_CHARACTERS_MAX])
