"""Signatures of manifests: Ed25519 (RFC 8032) over the RFC 8785 form of a JSON object without its member `signature`.

A key is named by its JWK thumbprint (RFC 7638), which is a SHA-256 of the public key: who knows a key's id can't be given another key.
"""

import base64
import binascii
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import rfc8785
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

ALGORITHM = "Ed25519"
KEYS_FILE = "waybill-signing-keys.json"
KEYS_PATH = f"/.well-known/{KEYS_FILE}"
_PUBLIC_BYTES, _SIGNATURE_BYTES = 32, 64


class SignatureProblem(ValueError):
    """What is wrong with a signature or a set of keys. `code` is the machine's word for it."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


@dataclass(frozen=True)
class PublicKey:
    """A public key as it is published. `retired_at`: signs no more, what it signed stays good. `revoked_at`: nothing that it signed counts."""

    raw: bytes
    created_at: str | None = None
    retired_at: str | None = None
    revoked_at: str | None = None

    @property
    def id(self) -> str:
        return key_id(self.raw)

    @property
    def pem(self) -> str:
        return Ed25519PublicKey.from_public_bytes(self.raw).public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def key_id(raw: bytes) -> str:
    """The JWK thumbprint of a public key."""
    required = {"crv": ALGORITHM, "kty": "OKP", "x": _base64url(raw)}
    return _base64url(hashlib.sha256(rfc8785.dumps(required)).digest())


def payload(document: Mapping[str, Any]) -> bytes:
    """The bytes that are signed."""
    return rfc8785.dumps({name: value for name, value in document.items() if name != "signature"})


def sign(document: Mapping[str, Any], private: bytes) -> dict[str, Any]:
    """The document with its signature; `private` is the key's 32 bytes."""
    key = Ed25519PrivateKey.from_private_bytes(private)
    value = base64.b64encode(key.sign(payload(document))).decode()
    return {**document, "signature": {"alg": ALGORITHM, "key_id": key_id(key.public_key().public_bytes_raw()), "value": value}}


def check(document: Mapping[str, Any], keys: Mapping[str, PublicKey]) -> PublicKey:
    """The key that signed `document`. Raises SignatureProblem that says which of the things that can be wrong it is."""
    signed_by, signature = _signature(document)
    key = keys.get(signed_by)
    if key is None:
        raise SignatureProblem(
            "signature_key_unknown", f"It is signed with the key {signed_by}, which is not among the {len(keys)} keys given."
        )
    try:
        signed = payload(document)
    except rfc8785.CanonicalizationError as error:
        raise SignatureProblem("signature_no_canonical_form", f"It has no RFC 8785 form: {error}.") from error
    try:
        Ed25519PublicKey.from_public_bytes(key.raw).verify(signature, signed)
    except (InvalidSignature, ValueError):
        raise SignatureProblem(
            "signature_wrong",
            f"The signature does not fit: the manifest is not what the key {signed_by} signed, or the signature was changed.",
        ) from None
    if key.revoked_at is not None:
        raise SignatureProblem("signature_key_revoked", f"It is signed with the key {signed_by}, which was revoked at {key.revoked_at}.")
    return key


def _signature(document: Mapping[str, Any]) -> tuple[str, bytes]:
    """Key id and signature, as far as their shape goes."""
    if "signature" not in document:
        raise SignatureProblem("signature_missing", "It is not signed: the member 'signature' is missing.")
    found = document["signature"]
    if not isinstance(found, Mapping):
        raise SignatureProblem("signature_malformed", "'signature' is not an object with alg, key_id and value.")
    for name in ("alg", "key_id", "value"):
        if not isinstance(found.get(name), str):
            raise SignatureProblem("signature_malformed", f"'signature.{name}' is missing, or is no text.")
    if unknown := sorted(found.keys() - {"alg", "key_id", "value"}):
        raise SignatureProblem("signature_malformed", f"'signature.{unknown[0][:80]}' does not belong there.")
    if found["alg"] != ALGORITHM:
        raise SignatureProblem("signature_algorithm", f"'signature.alg' is {found['alg'][:80]!r}; only {ALGORITHM} is known.")
    try:
        value = base64.b64decode(found["value"], validate=True)
    except (binascii.Error, ValueError):
        raise SignatureProblem("signature_malformed", "'signature.value' is not base64.") from None
    if len(value) != _SIGNATURE_BYTES:
        raise SignatureProblem("signature_malformed", f"'signature.value' has {len(value)} bytes, a signature has {_SIGNATURE_BYTES}.")
    return found["key_id"], value


# ---- sets of public keys, as JWK sets (RFC 7517, RFC 8037)


def to_jwks(keys: Sequence[PublicKey]) -> dict[str, Any]:
    """The document at KEYS_PATH. `pem` is the same key again, for openssl."""
    return {
        "keys": [
            {
                "kty": "OKP", "crv": ALGORITHM, "alg": ALGORITHM, "use": "sig", "kid": k.id, "x": _base64url(k.raw), "pem": k.pem,
                "created_at": k.created_at, "retired_at": k.retired_at, "revoked_at": k.revoked_at,
            }
            for k in keys
        ]
    }  # fmt: skip


def from_jwks(document: Any) -> dict[str, PublicKey]:
    """Key id → key. Keys of other kinds are passed over. Raises SignatureProblem where it is no set of keys, or a key is not the one it is called."""
    listed = document.get("keys") if isinstance(document, Mapping) else None
    if not isinstance(listed, list) or not all(isinstance(each, Mapping) for each in listed):
        raise SignatureProblem("keys_malformed", "there is no list 'keys' of objects")
    found = [_from_jwk(place, each) for place, each in enumerate(listed) if (each.get("kty"), each.get("crv")) == ("OKP", ALGORITHM)]
    return {key.id: key for key in found}


def from_pem(text: str) -> dict[str, PublicKey]:
    """One public key in PEM, as openssl writes it. Raises SignatureProblem."""
    try:
        loaded = load_pem_public_key(text.encode())
    except (ValueError, UnsupportedAlgorithm):
        raise SignatureProblem("keys_malformed", "the PEM is no public key") from None
    if not isinstance(loaded, Ed25519PublicKey):
        raise SignatureProblem("keys_malformed", f"the PEM's key is not of the kind {ALGORITHM}")
    key = PublicKey(loaded.public_bytes_raw())
    return {key.id: key}


def _from_jwk(place: int, jwk: Mapping[str, Any]) -> PublicKey:
    try:
        text = jwk["x"]
        raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (KeyError, TypeError, ValueError):
        raise SignatureProblem("keys_malformed", f"keys.{place}.x is not base64url") from None
    if len(raw) != _PUBLIC_BYTES:
        raise SignatureProblem("keys_malformed", f"keys.{place}.x has {len(raw)} bytes, a public key has {_PUBLIC_BYTES}")
    if "kid" in jwk and jwk["kid"] != key_id(raw):
        raise SignatureProblem("keys_malformed", f"keys.{place}.kid is not this key's id, which is {key_id(raw)}")
    times = {name: jwk.get(name) for name in ("created_at", "retired_at", "revoked_at")}
    for name, value in times.items():
        if value is not None and not _is_instant(value):
            raise SignatureProblem("keys_malformed", f"keys.{place}.{name} is no time")
    return PublicKey(raw, **times)


def _is_instant(value: Any) -> bool:
    try:
        return datetime.fromisoformat(value).tzinfo is not None
    except (TypeError, ValueError):
        return False


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
