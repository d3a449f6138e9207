"""The bodies of the HTTP API of SFTP users, field by field."""

import re
from collections.abc import Callable
from ipaddress import ip_network
from typing import Any

from services.delivery.core.sftp import keys
from shared.checks import Check, checked
from shared.errors import Detail

USERNAME_CHARACTERS_MAX = 64
USERNAME = rf"^[A-Za-z0-9][A-Za-z0-9._-]{{0,{USERNAME_CHARACTERS_MAX - 1}}}$"
KEYS_MAX, NETWORKS_MAX = 20, 50
_username = re.compile(USERNAME)


def user_body(body: Any) -> dict[str, Any]:
    """A new user: name, keys (in their one-line form) and networks as they are kept. Raises ApiError 400 naming every field that is wrong."""
    return {
        "public_keys": [],
        "allowed_networks": [],
        **_kept(checked(body, _fields("username", "public_keys", "allowed_networks"), ("username",))),
    }


def user_changes(body: Any) -> dict[str, Any]:
    return _kept(checked(body, _fields("public_keys", "allowed_networks")))


def _kept(body: dict[str, Any]) -> dict[str, Any]:
    kept = dict(body)
    if "public_keys" in kept:
        kept["public_keys"] = [keys.parse(line).line for line in kept["public_keys"]]
    if "allowed_networks" in kept:
        kept["allowed_networks"] = [str(ip_network(each)) for each in kept["allowed_networks"]]
    return kept


def _fields(*names: str) -> dict[str, Check]:
    known: dict[str, Check] = {"username": _name, "public_keys": _keys, "allowed_networks": _networks}
    return {name: known[name] for name in names}


def _name(value: Any) -> list[Detail]:
    if isinstance(value, str) and _username.fullmatch(value):
        return []
    return [Detail("username", "must be 1 to 64 letters, digits, dots, dashes or underscores (ASCII), and begin with a letter or digit")]


def _keys(value: Any) -> list[Detail]:
    return _list("public_keys", value, KEYS_MAX, lambda line: keys.parse(line).blob)


def _networks(value: Any) -> list[Detail]:
    return _list("allowed_networks", value, NETWORKS_MAX, _network)


def _network(value: Any) -> Any:
    if not isinstance(value, str):
        raise ValueError("must be an address or a network, such as 203.0.113.0/24 or 2001:db8::/32")
    try:
        return ip_network(value)
    except ValueError as error:
        if "host bits" in str(error):
            raise ValueError(f"has host bits set: did you mean {ip_network(value, strict=False)}?") from None
        raise ValueError("must be an address or a network, such as 203.0.113.0/24 or 2001:db8::/32") from None


def _list(field: str, value: Any, most: int, read: Callable[[Any], Any]) -> list[Detail]:
    """`read` gives what makes an entry the same as another one, or raises ValueError saying what is wrong with it."""
    if not isinstance(value, list) or len(value) > most:
        return [Detail(field, f"must be a list of at most {most}")]
    wrong, seen = [], set()
    for number, each in enumerate(value):
        try:
            found = read(each)
        except ValueError as error:
            wrong.append(Detail(f"{field}.{number}", str(error)))
            continue
        if found in seen:
            wrong.append(Detail(f"{field}.{number}", "is there twice"))
        seen.add(found)
    return wrong
