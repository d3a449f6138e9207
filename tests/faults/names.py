"""Names that lead elsewhere from one lookup to the next, as the suite's delivery process sees them (named/sitecustomize.py)."""

import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

from deploy.local import services

ZONE = "moving.example"
SHIM = Path(__file__).with_name("named")


class Names:
    """`folder` is where the process looks."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @contextmanager
    def told_to(self, service: str) -> Iterator[None]:
        """A stack that is set up meanwhile starts this service so that it asks here."""
        self.folder.mkdir(parents=True, exist_ok=True)
        known, own = services.environment_of, {"PYTHONPATH": str(SHIM), "FAULT_NAMES": str(self.folder)}

        def environment_of(instance: str, *more: Any) -> Mapping[str, str]:
            return known(instance, *more) | (own if instance == service else {})

        with patch.object(services, "environment_of", environment_of):
            yield

    def new(self) -> str:
        """A name that nobody has looked up; it is at 127.0.0.1."""
        return f"n{secrets.token_hex(6)}.{ZONE}"

    def lead(self, name: str, lookups: list[str]) -> None:
        """One line for each lookup to come, addresses with blanks between; the last one stays."""
        temporary = self.folder / f".{name}.new"
        temporary.write_text("\n".join(lookups), "ascii")
        temporary.replace(self.folder / name)

    def looked_up(self, name: str) -> list[str]:
        """What lookups of it were answered, since it leads anywhere."""
        lines = self._lines(".looked-up")
        return [line.partition(" ")[2] for line in lines if line.startswith(f"{name} ")]

    def gone_inside(self) -> list[str]:
        """Addresses off this machine that the process wanted a connection to: none may ever be here."""
        return self._lines(".inside")

    def _lines(self, name: str) -> list[str]:
        path = self.folder / name
        return path.read_text("ascii").splitlines() if path.exists() else []
