"""What one process of the stack is: how it starts, which ports it opens, when it is ready."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

Ready = Callable[[], str | None]  # None: ready; else what it still waits for


@dataclass(frozen=True)
class Program:
    """One process. `ports` are names of the port table; a change of `fingerprint` means a restart (it stands for files read at start).

    `leftovers` are files outside of the state directory that a killed run leaves behind, and that would be in the next one's way.
    """

    name: str
    command: list[str]
    ready: Ready
    ports: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    directory: Path = Path("/")
    user: str | None = None
    fingerprint: str = ""
    leftovers: tuple[Path, ...] = ()
    stop_signal: str = "TERM"
    stop_seconds: int = 30

    def specification(self, pid_file: Path, port_numbers: list[int]) -> str:
        """The JSON that `launch.py` starts the process from."""
        return json.dumps(
            {
                "command": self.command,
                "environment": dict(self.environment),
                "directory": str(self.directory),
                "user": self.user,
                "pid_file": str(pid_file),
                "ports": port_numbers,
                "fingerprint": self.fingerprint,
                "leftovers": [str(path) for path in self.leftovers],
                "stop_signal": self.stop_signal,
                "stop_seconds": self.stop_seconds,
            },
            indent=1,
            sort_keys=True,
        )


def answers(url: str, *, any_status: bool = False) -> str | None:
    """None when a GET is answered well (or at all), else why not."""
    try:
        with urlopen(url, timeout=2):
            return None
    except HTTPError as error:
        return None if any_status else f"{url} answers {error.code}: {_text_of(error)}"
    except (URLError, OSError, HTTPException) as error:
        return f"{url} does not answer ({error})"


def _text_of(error: HTTPError) -> str:
    """The beginning of what was answered; a process that is just starting may not come to the end of it."""
    try:
        return error.read(300).decode(errors="replace")
    except (OSError, HTTPException) as broken:
        return str(broken)
