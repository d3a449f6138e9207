"""Settings: the same names from flags, a file and the environment.

A flag wins over `--env-file`, that over the environment, and that over `.local/waybill.env` in the working directory, which
`make up` writes.
"""

import os
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cli.errors import UsageError
from shared.secret_files import read_secret_files

LOCAL_FILE = Path(".local/waybill.env")
# What a file named by <NAME>_FILE may hold instead.
SECRETS = ("WAYBILL_API_KEY", "WAYBILL_OPERATOR_TOKEN", "WAYBILL_DATABASE_URL", "WAYBILL_KAFKA_PASSWORD", "WAYBILL_S3_SECRET_KEY")


@dataclass(frozen=True)
class Settings:
    """Every WAYBILL_* setting by name; a missing one is a usage error that says how to give it."""

    values: Mapping[str, str]

    def get(self, name: str) -> str | None:
        return self.values.get(name) or None

    def need(self, name: str, flag: str = "") -> str:
        """The value of `name`. Raises UsageError where it isn't set."""
        value = self.get(name)
        if value is None:
            by_flag = f", {flag}" if flag else ""
            raise UsageError(
                f"{name} isn't set: give it in the environment{by_flag}, or in a file with --env-file ({LOCAL_FILE} is read when present)."
            )
        return value

    def of_fields(self, names: Iterable[str]) -> dict[str, Any]:
        """The values for the fields of a settings class of shared/settings.py, by field; only those that are set."""
        return {name: value for name in names if (value := self.get(f"WAYBILL_{name.upper()}")) is not None}

    @property
    def url(self) -> str:
        return self.need("WAYBILL_URL", "--url").rstrip("/")


def read_env_file(path: Path) -> dict[str, str]:
    """Assignments of a file in shell syntax, `export` and comments allowed, several on a line too. Raises UsageError naming the line."""
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--env-file: {path} can't be read: {getattr(error, 'strerror', None) or error}.") from None
    values: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        try:
            words = shlex.split(line, comments=True)
        except ValueError as error:
            raise UsageError(f"{path}, line {number}: {error}.") from None
        for word in words:
            name, equals, value = word.partition("=")
            if equals:
                values[name] = value
            elif word != "export":
                raise UsageError(f"{path}, line {number}: '{word}' isn't an assignment (NAME=value).")
    return values


def load(flags: Mapping[str, str | None], env_file: Path | None, environment: Mapping[str, str] | None = None) -> Settings:
    """Settings from all sources. `flags` maps setting names to the flags' values, None where not given."""
    values: dict[str, str] = {}
    if env_file is None and LOCAL_FILE.is_file():
        values.update(read_env_file(LOCAL_FILE))
    values.update({k: v for k, v in (os.environ if environment is None else environment).items() if k.startswith("WAYBILL_")})
    if env_file is not None:
        values.update(read_env_file(env_file))
    values.update({name: value for name, value in flags.items() if value is not None})
    try:
        return Settings(values | read_secret_files(values, [name for name in SECRETS if flags.get(name) is None]))
    except ValueError as error:
        raise UsageError(f"{error}.") from None
