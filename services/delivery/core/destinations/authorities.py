"""Certificates of a destination's own authorities, for servers in a company that no public authority knows."""

from typing import Any

from cryptography.x509 import load_pem_x509_certificates

from services.delivery.core.destinations.kinds import Field, Rules
from shared.errors import Detail

CHARACTERS_MAX = 64 << 10


def _check(field: str, value: Any, rules: Rules) -> list[Detail]:
    try:
        good = isinstance(value, str) and len(value) <= CHARACTERS_MAX and bool(load_pem_x509_certificates(value.encode()))
    except ValueError:
        good = False
    return (
        [] if good else [Detail(field, f"must be certificates in PEM (-----BEGIN CERTIFICATE-----), at most {CHARACTERS_MAX} characters")]
    )


CA_CERTIFICATE = Field(
    "ca_certificate",
    _check,
    {"type": "string", "maxLength": CHARACTERS_MAX, "description": "Certificates in PEM, trusted in place of the public authorities."},
)
