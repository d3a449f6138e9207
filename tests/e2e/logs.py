"""What the stack's processes have logged so far, be they processes of this machine or containers."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

from deploy.compose.lifecycle import name_of, project
from deploy.local.state import State
from tests.conftest import Stack


def logs(stack: Stack) -> Iterator[tuple[str, bytes]]:
    """Name and text of each log."""
    if stack.env.get("WAYBILL_TEST_COMPOSE"):
        for container in project(State(Path(stack.env["WAYBILL_STATE"]))).containers():
            command = ["docker", "logs", container["Id"]]
            yield name_of(container), subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=True).stdout
        return
    for path in sorted((Path(stack.env["WAYBILL_PIDS"]).parent / "log").rglob("*")):
        if path.is_file():
            yield path.name, path.read_bytes()
