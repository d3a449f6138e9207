"""Commands that say what they do when they take long, and why when they fail."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from deploy.local.errors import StackError
from deploy.local.progress import step

OUTPUT_LINES = 25


def run(what: str, command: list[str], environment: Mapping[str, str] | None = None, directory: Path | None = None) -> str:
    """What a command prints. Raises StackError with the end of its output when it fails."""
    with step(what):
        done = subprocess.run(command, capture_output=True, text=True, env=dict(environment or os.environ), cwd=directory)
    if done.returncode:
        raise StackError(f"{what} failed", "\n".join((done.stdout + done.stderr).strip().splitlines()[-OUTPUT_LINES:]))
    return done.stdout
