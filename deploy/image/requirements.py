"""Picks out of requirements.lock what a root needs: `python requirements.py ROOT < requirements.lock`, ROOT is `waybill` or a package of the lock.

So that there is one lock for the tests, the local stack and the image, and the image gets no test tools. The lock's own `# via` comments say who
needs what. Runs before anything is installed: only the standard library, and no other module of ours.
"""

import re
import sys

_ENTRY = re.compile(r"(?m)^(?=[A-Za-z0-9])")
_NAME = re.compile(r"([A-Za-z0-9._-]+)==")
_VIA = re.compile(r"^    #\s+(?:via )?(\S.*)$", re.M)
PROJECT = "waybill (pyproject.toml)"  # the project's own dependencies; its groups are "waybill (pyproject.toml:dev)" and so on


def entries(lock: str) -> list[tuple[str, str, frozenset[str]]]:
    """(name, text with its hashes, who needs it) of every entry, in the lock's order; a package may have several, by markers."""
    found = []
    for text in _ENTRY.split(lock):
        if name := _NAME.match(text):
            found.append((name[1], text, frozenset(_VIA.findall(text)) - {"via"}))
    return found


def closure(lock: str, root: str) -> str:
    """The entries that `root` needs, directly or not, and its own where it is a package of the lock. Raises ValueError for a root that needs nothing."""
    all_entries = entries(lock)
    names = {name for name, _, _ in all_entries}
    needed = {PROJECT} if root == "waybill" else {root} & names
    size = 0
    while len(needed) > size:
        size = len(needed)
        needed |= {name for name, _, via in all_entries if via & needed}
    picked = [text for name, text, _ in all_entries if name in needed]
    if not picked:
        raise ValueError(f"requirements.lock has nothing for {root!r}")
    return "".join(picked)


if __name__ == "__main__":
    sys.stdout.write(closure(sys.stdin.read(), sys.argv[1]))
