"""An SFTP server: files are written into a directory of it."""

import re
from collections.abc import Mapping
from ipaddress import IPv6Address
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_ssh_private_key

from services.delivery.core.destinations import pins
from services.delivery.core.destinations.fields import flag, line, matching, path, whole
from services.delivery.core.destinations.kinds import Field, Kind, Rules
from services.delivery.core.destinations.private_keys import ITERATIONS_MAX, ROUNDS_MAX, is_too_laborious
from shared.checks import SEEN
from shared.errors import Detail

HOST_MAX, NAME_MAX, PASSWORD_MAX, KEY_MAX, DIRECTORY_MAX, HOST_KEYS_MAX = 253, 128, 1024, 32 << 10, 500, 10
_NAME = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(\.(?!-)[A-Za-z0-9_-]{1,63})*\.?")
_DIRECTORY = rf"^(?!(.*/)?\.\.(/|$))(?![^\\{{}}]*[\\{{}}]){SEEN}*$"  # the server's own, so it may be absolute: `path` stands below it and can't lead out
_PRIVATE = re.compile(r"-----BEGIN ((?:OPENSSH|RSA|EC|ENCRYPTED) )?PRIVATE KEY-----\n.+\n-----END \1?PRIVATE KEY-----", re.DOTALL)


def _host(field: str, value: Any, rules: Rules) -> list[Detail]:
    """Where it leads is looked at whenever a connection is made."""
    good = isinstance(value, str) and len(value) <= HOST_MAX and (_NAME.fullmatch(value) or _is_address_6(value))
    return [] if good else [Detail(field, f"must be a name or an address of at most {HOST_MAX} characters, without port or scheme")]


def _is_address_6(value: str) -> bool:
    try:
        return IPv6Address(value).scope_id is None
    except ValueError:
        return False


def _private_key(field: str, value: Any, rules: Rules) -> list[Detail]:
    """A key without a passphrase is read; one with, when it is used: the passphrase is another field."""
    text = _key(value) if isinstance(value, str) and len(value) <= KEY_MAX else ""
    if not text.isascii() or not _PRIVATE.fullmatch(text):
        return [Detail(field, "must be a whole private key, in OpenSSH's form or PEM (-----BEGIN … PRIVATE KEY-----)")]
    load = load_ssh_private_key if "OPENSSH" in text[:40] else load_pem_private_key
    try:
        load(text.encode() + b"\n", None)
    except TypeError:  # it has a passphrase
        return _laborious(field, text)
    except (ValueError, UnsupportedAlgorithm):
        if "ENCRYPTED" in text:
            return _laborious(field, text)
        return [Detail(field, "can't be read: it was cut short, or is of a kind that isn't known")]
    return []


def _laborious(field: str, text: str) -> list[Detail]:
    if not is_too_laborious(text):
        return []
    most = f"{ROUNDS_MAX} rounds (ssh-keygen -a) or {ITERATIONS_MAX} iterations at most"
    return [Detail(field, f"takes too much work to be opened with its passphrase, or can't be read: {most}")]


def _key(value: str) -> str:
    return "\n".join(each.strip() for each in value.strip().splitlines())


def _host_keys(field: str, value: Any, rules: Rules) -> list[Detail]:
    if not isinstance(value, list) or len(value) > HOST_KEYS_MAX:
        return [Detail(field, f"must be a list of at most {HOST_KEYS_MAX} host keys")]
    problems = [(i, pins.problem_with(each)) for i, each in enumerate(value)]
    return [Detail(f"{field}.{i}", problem) for i, problem in problems if problem]


def _together(config: Mapping[str, Any], secrets: frozenset[str]) -> list[Detail]:
    wrong = []
    if not secrets & {"password", "private_key"}:
        wrong.append(Detail("config.password", "is required, or private_key"))
    if "passphrase" in secrets and "private_key" not in secrets:
        wrong.append(Detail("config.passphrase", "is a private key's, and there is none"))
    return wrong


def _where(config: Mapping[str, Any]) -> str:
    host = config["host"]
    directory = config["directory"]
    return f"sftp://{f'[{host}]' if ':' in host else host}:{config['port']}/{directory.lstrip('/')}"


KIND = Kind(
    name="sftp",
    title="an SFTP server",
    fields=(
        Field("host", _host, {"type": "string", "maxLength": HOST_MAX}, required=True, leads=True),
        whole("port", 65_535, default=22, leads=True),
        line("username", NAME_MAX, required=True),
        line("password", PASSWORD_MAX, secret=True),
        Field("private_key", _private_key, {"type": "string", "maxLength": KEY_MAX}, secret=True, kept=_key),
        line("passphrase", PASSWORD_MAX, secret=True),
        Field(
            "host_keys", _host_keys, {"type": "array", "maxItems": HOST_KEYS_MAX, "items": {"type": "string"}}, default=(),
            kept=lambda lines: list(dict.fromkeys(map(pins.kept, lines))),
        ),
        matching("directory", _DIRECTORY, f"a directory of at most {DIRECTORY_MAX} characters, without '..', backslashes and placeholders", characters_max=DIRECTORY_MAX, default=""),
        path("path"),
        flag("overwrite", default=False),
        matching("file_mode", r"^0?[0-7]{3}$", 'file permissions in octal, such as "0640"'),
    ),
    example={
        "host": "files.example.com", "port": 22, "username": "waybill", "password": "…", "host_keys": ["SHA256:uNiVztksCsDhcc0u9e8BrhGWBqV2a8vkXTNwlLPlX1k"],
        "directory": "incoming", "path": "{dataset}/{year}/{month}",
    },
    where=_where,
    together=_together,
)  # fmt: skip
