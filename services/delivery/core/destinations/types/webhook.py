"""A webhook: the event of an export's end, or its files themselves, by signed HTTP requests."""

import base64
import json
import secrets
from collections.abc import Mapping
from typing import Any

from services.delivery.core import urls
from services.delivery.core.destinations import headers
from services.delivery.core.destinations.authorities import CA_CERTIFICATE
from services.delivery.core.destinations.fields import choice, matching, url
from services.delivery.core.destinations.kinds import Field, Kind, Rules
from services.delivery.core.webhooks import signing
from shared.errors import Detail

SEND = ("event", "files")
SECRET_BYTES_MIN, SECRET_BYTES_MAX = 24, 64  # Standard Webhooks'
_B64 = "[A-Za-z0-9+/]"
_SECRET = (
    f"^whsec_({_B64}{{4}}){{8,20}}(({_B64}{{4}})?|{_B64}{{3}}=|({_B64}{{4}})?{_B64}{{2}}==)$"  # 24 to 64 bytes, and no other number of them
)


def secret_of(text: str) -> bytes:
    """The key of a secret. Raises ValueError."""
    if not text.startswith(signing.PREFIX):
        raise ValueError
    return base64.b64decode(text.removeprefix(signing.PREFIX), validate=True)


def _headers(field: str, value: Any, rules: Rules) -> list[Detail]:
    return headers.problems_with(field, value)


def _where(config: Mapping[str, Any]) -> str:
    return urls.place_of(config["url"])


def _together(config: Mapping[str, Any], names: frozenset[str]) -> list[Detail]:
    if "ca_certificate" in config and not config["url"].lower().startswith("https:"):
        return [Detail("config.ca_certificate", "is for a URL with https://")]
    return []


KIND = Kind(
    name="webhook",
    title="a webhook",
    fields=(
        url("url", required=True),
        choice("send", SEND, default="event"),
        Field(
            "headers", _headers,
            {
                "type": "object", "maxProperties": headers.HEADERS_MAX,
                "propertyNames": {"pattern": headers.NAME}, "additionalProperties": {"type": "string", "maxLength": headers.VALUE_MAX, "pattern": headers.VALUE},
            },
            secret=True, kept=lambda given: json.dumps(given),
        ),
        matching(
            "secret", _SECRET, f"whsec_ and {SECRET_BYTES_MIN} to {SECRET_BYTES_MAX} bytes in base64; leave it out, and one is made", secret=True,
            made=lambda: signing.secret_text(secrets.token_bytes(signing.SECRET_BYTES)),
        ),
        CA_CERTIFICATE,
    ),
    example={"url": "https://hooks.example.com/waybill", "send": "files", "headers": {"Authorization": "Bearer a-token-of-yours"}},
    where=_where,
    probed="It answered a signed test with 2xx.",
    together=_together,
)  # fmt: skip
