"""Whether a Docker engine answers, and by which command compose is had. Only the standard library: asked before .venv is there."""

import functools
import os
import shutil
import subprocess
from collections.abc import Mapping

ANSWER_SECONDS = 3


def answers(environment: Mapping[str, str] | None = None) -> bool:
    """Whether `docker info` is answered, soon."""
    if not shutil.which("docker"):
        return False
    try:
        done = subprocess.run(
            ["docker", "info", "--format", "{{.ServerVersion}}"], capture_output=True, text=True, timeout=ANSWER_SECONDS,
            env={**os.environ, **(environment or {})},
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0 and bool(done.stdout.strip())


@functools.cache
def compose_command() -> tuple[str, ...] | None:
    """`docker compose` where the plugin is there, else `docker-compose`; None without either."""
    for command in (("docker", "compose"), ("docker-compose",)):
        if shutil.which(command[0]) and subprocess.run([*command, "version"], capture_output=True).returncode == 0:
            return command
    return None
