"""What the kernel says of the stack's processes: peak memory and CPU time. Reads /proc, so Linux only."""

import os
from dataclasses import dataclass
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Processes:
    """The processes of a stack by name; pids are read afresh at every call, since a process may have been restarted."""

    pids: Path  # a directory, one file a process

    def pid(self, name: str) -> int | None:
        try:
            pid = int((self.pids / name).read_text("ascii"))
        except (FileNotFoundError, ValueError):
            return None
        return pid if Path(f"/proc/{pid}").exists() else None

    def names(self) -> list[str]:
        return sorted(path.name for path in self.pids.iterdir() if self.pid(path.name))

    def reset_peaks(self, names: list[str]) -> None:
        """Make VmHWM start again from what each process holds now."""
        for name in names:
            if pid := self.pid(name):
                Path(f"/proc/{pid}/clear_refs").write_text("5")

    def peaks(self, names: list[str]) -> dict[str, int]:
        """Peak resident memory since the last reset, in bytes."""
        return {name: _status_bytes(pid, "VmHWM") for name in names if (pid := self.pid(name))}

    def cpu_seconds(self, names: list[str]) -> dict[str, float]:
        """User and system time so far, in seconds, of each process and its children, living and ended."""
        children = _children()
        return {name: _tree_seconds(pid, children) for name in names if (pid := self.pid(name))}


def _status_bytes(pid: int, field: str) -> int:
    for line in Path(f"/proc/{pid}/status").read_text("ascii", errors="replace").splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024
    raise ValueError(f"/proc/{pid}/status has no {field}")


def _stat(pid: int) -> list[str] | None:
    """The fields of /proc/<pid>/stat from the third on; None when it has ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text("utf-8", errors="replace").rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None


def _children() -> dict[int, list[int]]:
    tree: dict[int, list[int]] = {}
    for path in Path("/proc").iterdir():
        if path.name.isdigit() and (fields := _stat(int(path.name))):
            tree.setdefault(int(fields[1]), []).append(int(path.name))
    return tree


def _tree_seconds(pid: int, children: dict[int, list[int]]) -> float:
    fields = _stat(pid)
    own = sum(int(value) for value in fields[11:15]) / TICKS if fields else 0.0  # utime, stime, and those of children that were waited for
    return own + sum(_tree_seconds(child, children) for child in children.get(pid, ()))
