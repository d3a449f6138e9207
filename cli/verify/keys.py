"""Whose signature counts: public keys from a file, or saved beside the manifest, narrowed to those that are pinned."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cli.errors import UsageError
from shared import strictjson
from shared.signing import KEYS_FILE, PublicKey, SignatureProblem, from_jwks, from_pem, to_jwks

BESIDE = "saved beside the manifest"


@dataclass(frozen=True)
class Trusted:
    """The keys that count, where they are from, and whether the caller named them (a pin or a file)."""

    keys: Mapping[str, PublicKey]
    source: str
    chosen: bool


def trusted(folder: Path, given: Path | None, pins: Sequence[str]) -> Trusted:
    """Raises UsageError for a file of keys that can't be read."""
    path = given or folder / KEYS_FILE
    if given is None and not path.exists():
        return Trusted({}, f"there are none: {KEYS_FILE} is missing beside the manifest", False)
    keys = read(path, "--keys" if given else "keys")
    if pins:
        keys = {name: key for name, key in keys.items() if name in pins}
    return Trusted(keys, str(given) if given else BESIDE, given is not None or bool(pins))


def read(path: Path, flag: str) -> dict[str, PublicKey]:
    """Keys in a JWK set, or one in PEM. Raises UsageError."""
    try:
        text = path.read_text("utf-8")
        return from_pem(text) if text.lstrip().startswith("-----BEGIN") else from_jwks(strictjson.loads(text))
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{flag}: {path} can't be read: {getattr(error, 'strerror', None) or error}.") from None
    except (SignatureProblem, strictjson.JsonProblem) as problem:
        raise UsageError(f"{flag}: {path} holds no public keys: {problem.message}.") from None


def merged(old: Mapping[str, PublicKey], new: Mapping[str, PublicKey]) -> str:
    """The text of a file with both: what is said anew of a key counts, and a key is never forgotten."""
    return json.dumps(to_jwks(list({**old, **new}.values())), indent=1) + "\n"
