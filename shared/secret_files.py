"""Secrets from files, as containers get them: NAME_FILE says where what NAME would say is."""

from collections.abc import Iterable, Mapping
from pathlib import Path


def read_secret_files(values: Mapping[str, str], names: Iterable[str]) -> dict[str, str]:
    """What the files hold that NAME_FILE names in place of NAME; a line's end at their end doesn't count. Raises ValueError that names the variable."""
    found: dict[str, str] = {}
    for name in names:
        path = values.get(f"{name}_FILE")
        if not path:
            continue
        if values.get(name):
            raise ValueError(f"{name} and {name}_FILE are both set: give one of them")
        try:
            found[name] = Path(path).read_text("utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            raise ValueError(f"{name}_FILE: {path} can't be read: {getattr(error, 'strerror', None) or 'it is no text'}") from None
        if not found[name]:
            raise ValueError(f"{name}_FILE: {path} is empty")
    return found
