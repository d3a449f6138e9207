"""What the URL of a webhook or a destination may look like. Where its name leads is looked at whenever something is sent."""

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from services.delivery.core.addresses import PUBLIC_ONLY, AddressRule

URL_CHARACTERS_MAX = 2048
_NAME = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)(\.(?!-)[A-Za-z0-9_-]{1,63}(?<!-))*\.?")
_NUMBER = re.compile(r"(0[xX][0-9a-fA-F]*|[0-9]+)\.?")


@dataclass(frozen=True)
class UrlRules:
    """What an operator has allowed beyond https to public addresses."""

    allow_http: bool = False
    addresses: AddressRule = PUBLIC_ONLY


def problem_with(url: object, rules: UrlRules) -> str | None:
    """What is wrong with `url`, for people; None where it will do."""
    if not isinstance(url, str) or not 1 <= len(url) <= URL_CHARACTERS_MAX:
        return f"must be a URL of at most {URL_CHARACTERS_MAX} characters"
    if not url.isascii() or not url.isprintable() or " " in url or "\\" in url:
        return "must be plain ASCII without spaces (international names as xn--…, other characters percent-encoded)"
    try:
        parts = urlsplit(url)
        port, host = parts.port, parts.hostname
    except ValueError:
        return "is not a URL"
    schemes = ("https", "http") if rules.allow_http else ("https",)
    if parts.scheme not in schemes or not host:
        return f"must begin with {' or '.join(f'{scheme}://' for scheme in schemes)} and name a host"
    if parts.username is not None or parts.password is not None or parts.fragment or url.endswith("#"):
        return "must not carry a user name, a password or a fragment"
    if port == 0:
        return "has no port that can be called"
    return _problem_with_host(host, rules)


def place_of(url: str) -> str:
    """Where a URL leads, without what may be a secret in it (path and query)."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def _problem_with_host(host: str, rules: UrlRules) -> str | None:
    inside = "leads to an address that is not public"
    if ":" in host:
        return None if rules.addresses.allows(host) else inside
    if not _NAME.fullmatch(host) or len(host) > 253:
        return "names no host"
    if _NUMBER.fullmatch(host.rstrip(".").rpartition(".")[2]):  # an IPv4 address, or one of its odd forms (127.1, 2130706433)
        return None if rules.addresses.allows(host) else inside
    name = host.rstrip(".").lower()
    return inside if (name == "localhost" or name.endswith(".localhost")) and not rules.addresses.loopback else None
