"""Processes by pid, without a supervisor: find those of ours that it left behind, and end them."""

import contextlib
import json
import os
import signal
import subprocess
import time
from pathlib import Path

from deploy.local.errors import StackError
from deploy.local.progress import step
from deploy.local.state import State

KILL_SECONDS = 5  # to be gone after SIGKILL


def pid_of(state: State, name: str) -> int | None:
    """The pid in a process's pid file."""
    try:
        return int((state.pids / name).read_text("ascii"))
    except (FileNotFoundError, ValueError):
        return None


def _command_of(pid: int) -> str:
    """The command line of a live process; empty when there is none."""
    if Path("/proc/self").exists():
        try:
            return Path(f"/proc/{pid}/cmdline").read_text(errors="replace").replace("\0", " ").strip()
        except OSError:
            return ""
    return subprocess.run(["ps", "-o", "command=", "-p", str(pid)], capture_output=True, text=True).stdout.strip()


def orphans(state: State) -> dict[str, int]:
    """Our processes that are alive: the pid file names them, and the command line is the one that we start them with."""
    found: dict[str, int] = {}
    for path in state.run.glob("*.json"):
        pid = pid_of(state, path.stem)
        wanted = " ".join(json.loads(path.read_text("utf-8"))["command"])
        if pid and _command_of(pid) == wanted:
            found[path.stem] = pid
    return found


def stop_orphans(state: State) -> None:
    """End what a killed supervisor left behind; raises StackError for what survives even SIGKILL."""
    left = orphans(state)
    if not left:
        return
    specs = {name: json.loads((state.run / f"{name}.json").read_text("utf-8")) for name in left}
    started = time.monotonic()
    for name, pid in left.items():
        _signal(pid, signal.Signals[f"SIG{specs[name]['stop_signal']}"])
    longest = max(spec["stop_seconds"] for spec in specs.values())
    with step("stopping what was left behind"):
        while left and time.monotonic() < started + longest + KILL_SECONDS:
            time.sleep(0.1)
            left = orphans(state)
            for name, pid in left.items():
                if time.monotonic() > started + specs[name]["stop_seconds"]:
                    _signal(pid, signal.SIGKILL)
    if left:
        raise StackError(f"can't be stopped: {', '.join(f'{name} (pid {pid})' for name, pid in left.items())}")


def remove_leftovers(state: State) -> None:
    """Remove the files outside of the state directory that our processes, all ended, have left."""
    for path in state.run.glob("*.json"):
        for leftover in json.loads(path.read_text("utf-8")).get("leftovers", []):
            Path(leftover).unlink(missing_ok=True)


def _signal(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):  # it has ended meanwhile
        os.kill(pid, number)
