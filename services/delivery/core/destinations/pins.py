"""Pinned host keys of SSH servers: who the other side must prove to be before it is given a password or a file."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from services.delivery.core.sftp.keys import KINDS, LINE_CHARACTERS_MAX, BadKey, parse

_FINGERPRINT = re.compile(r"SHA256:([A-Za-z0-9+/]{42}[AEIMQUYcgkosw048])=?")
# How a kind of key signs in a handshake; SHA-1 (plain ssh-rsa) isn't taken.
SIGNATURES = {kind: (kind,) for kind in KINDS} | {"ssh-rsa": ("rsa-sha2-512", "rsa-sha2-256")}


@dataclass(frozen=True)
class Pin:
    """`kind` empty: only the fingerprint is known."""

    fingerprint: str
    kind: str = ""


def problem_with(value: Any) -> str | None:
    """What is wrong with a host key, for people."""
    try:
        kept(value)
    except BadKey as error:
        return str(error)
    return None


def kept(value: Any) -> str:
    """A host key as it is kept: `SHA256:…`, or the key on one line, without names and comments. Lines of `ssh-keyscan` and known_hosts will do too.
    Raises BadKey."""
    text = value.strip() if isinstance(value, str) and len(value) <= LINE_CHARACTERS_MAX else ""
    if found := _FINGERPRINT.fullmatch(text):
        return f"SHA256:{found[1]}"
    if text.startswith(("SHA256:", "MD5:")):
        raise BadKey("must be a whole SHA-256 fingerprint, as ssh-keygen -lf shows it (SHA256: and 43 characters)")
    if text.startswith("@"):
        raise BadKey("must be a host key: no authorities and no revoked keys")
    words = text.split()
    key = parse(" ".join(words[1:3] if len(words) > 2 and words[0] not in KINDS else words[:2]) if len(words) > 1 else text)
    return " ".join(key.line.split(" ")[:2])


def pins_of(lines: Sequence[str]) -> list[Pin]:
    """`lines` as they are kept."""
    found = []
    for line in lines:
        key = None if line.startswith("SHA256:") else parse(line)
        found.append(Pin(key.fingerprint, key.kind) if key else Pin(line))
    return found


def handshakes(pins: Sequence[Pin]) -> list[tuple[str, ...]]:
    """Which signatures to offer, one handshake after the other until the server shows a key that is pinned. Of keys whose kinds we know, one handshake will
    do; of fingerprints, any kind may be meant."""
    known = {pin.kind for pin in pins}
    kinds = [kind for kind in KINDS if kind in known]
    first = tuple(name for kind in kinds or KINDS for name in SIGNATURES[kind])
    others = [SIGNATURES[kind] for kind in KINDS] if "" in known else []
    return list(dict.fromkeys((first, *others)))
