"""A webhook: the event of an export's end, or its files themselves, by signed HTTP requests."""

import base64
import json
import secrets
from collections.abc import Mapping
from typing import Any

from services.delivery.core import urls
from services.delivery.core.destinations import headers
from services.delivery.core.destinations.authorities import CA_CERTIFICATE
from services.delivery.core.destinations.kinds import Field, Kind, Rules
from services.delivery.core.webhooks import signing
from shared.errors import Detail

SEND = ("event", "files")
SECRET_BYTES_MIN, SECRET_BYTES_MAX = 24, 64  # Standard Webhooks'
_SECRET = r"^whsec_[A-Za-z0-9+/]{32,88}={0,2}$"


def secret_of(text: str) -> bytes:
    """The key of a secret. Raises ValueError."""
    if not text.startswith(signing.PREFIX):
        raise ValueError
    return base64.b64decode(text.removeprefix(signing.PREFIX), validate=True)


def _url(field: str, value: Any, rules: Rules) -> list[Detail]:
    problem = urls.problem_with(value, urls.UrlRules(rules.allow_http, rules.addresses))
    return [Detail(field, problem)] if problem else []


def _send(field: str, value: Any, rules: Rules) -> list[Detail]:
    return [] if isinstance(value, str) and value in SEND else [Detail(field, f"must be one of: {', '.join(SEND)}")]


def _secret(field: str, value: Any, rules: Rules) -> list[Detail]:
    try:
        good = isinstance(value, str) and SECRET_BYTES_MIN <= len(secret_of(value)) <= SECRET_BYTES_MAX
    except ValueError:
        good = False
    return (
        []
        if good
        else [Detail(field, f"must be whsec_ and {SECRET_BYTES_MIN} to {SECRET_BYTES_MAX} bytes in base64; leave it out, and one is made")]
    )


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
        Field("url", _url, {"type": "string", "format": "uri", "maxLength": urls.URL_CHARACTERS_MAX, "pattern": "^https?://[!-~]+$"}, required=True, leads=True),
        Field("send", _send, {"type": "string", "enum": list(SEND)}, default="event"),
        Field(
            "headers", _headers,
            {
                "type": "object", "maxProperties": headers.HEADERS_MAX,
                "propertyNames": {"pattern": headers.NAME}, "additionalProperties": {"type": "string", "maxLength": headers.VALUE_MAX, "pattern": headers.VALUE},
            },
            secret=True, kept=lambda given: json.dumps(given),
        ),
        Field(
            "secret", _secret, {"type": "string", "pattern": _SECRET}, secret=True,
            made=lambda: signing.secret_text(secrets.token_bytes(signing.SECRET_BYTES)),
        ),
        CA_CERTIFICATE,
    ),
    example={"url": "https://hooks.example.com/waybill", "send": "files", "headers": {"Authorization": "Bearer a-token-of-yours"}},
    where=_where,
    probed="It answered a signed test with 2xx.",
    together=_together,
)  # fmt: skip
