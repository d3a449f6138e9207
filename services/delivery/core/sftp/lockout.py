"""When guessing ends. Failures are counted for a user name at a source, and for a source whatever the name; only passwords are guessed, keys can't be.

What is counted has no name in it: a password that was typed as the name must not be kept.
"""

import hashlib
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address


@dataclass(frozen=True)
class Policy:
    """After so many failures within `seconds` nothing is tried for as long."""

    failures: int = 5
    failures_of_source: int = 50
    seconds: int = 900


@dataclass(frozen=True)
class Counted:
    """A failure counts for both; `pair` is forgotten when the password was right."""

    pair: bytes
    source: bytes


def counted(username: str, address: str) -> Counted:
    """An IPv6 source is its /64: one customer has all of it."""
    source = _source(address)
    name = username.lower()
    return Counted(_key("pair", name, source), _key("source", "", source))


def _source(address: str) -> str:
    try:
        found = ip_address(address)
    except ValueError:
        return address
    if isinstance(found, IPv6Address):
        return str(IPv6Address(int(found) >> 64 << 64))
    return str(found)


def _key(kind: str, name: str, source: str) -> bytes:
    return hashlib.sha256("\0".join((kind, name, source)).encode("utf-8", "surrogateescape")).digest()
