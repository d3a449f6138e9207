"""Loaded by the interpreter of the suite's delivery process (PYTHONPATH): names under ZONE lead where a file in FAULT_NAMES says, and what would leave this
machine is noted and refused, before a packet is sent.

A file is called as the name; each line has the addresses of one lookup, and the last line stays. A name without a file is at 127.0.0.1.
"""

import errno
import os
import socket
import sys
import threading
from pathlib import Path
from typing import Any

ZONE = ".moving.example"
FOLDER = Path(os.environ["FAULT_NAMES"])
INSIDE, LOOKED_UP = FOLDER / ".inside", FOLDER / ".looked-up"
_ask, _lock = socket.getaddrinfo, threading.Lock()


def _addresses(name: str) -> list[str]:
    path = FOLDER / name
    with _lock:
        try:
            first, *rest = path.read_text("ascii").splitlines()
        except FileNotFoundError:
            return [socket.inet_ntoa(b"\x7f\0\0\1")]
        if rest:
            path.write_text("\n".join(rest), "ascii")
        with LOOKED_UP.open("a", encoding="ascii") as file:
            file.write(f"{name} {first}\n")
        return first.split()


def getaddrinfo(host: Any, port: Any, family: int = 0, type: int = 0, proto: int = 0, flags: int = 0) -> Any:
    name = host.decode("ascii", "replace") if isinstance(host, bytes) else host
    if not isinstance(name, str) or not name.endswith(ZONE):
        return _ask(host, port, family, type, proto, flags)
    flags = flags & ~socket.AI_ADDRCONFIG | socket.AI_NUMERICHOST
    return [info for address in _addresses(name) for info in _ask(address, port, family, type, proto, flags)]


def stay_here(event: str, arguments: tuple[Any, ...]) -> None:
    """Python asks before it connects a socket. Raising is a no."""
    if event != "socket.connect":
        return
    address = arguments[1]
    if isinstance(address, tuple) and not str(address[0]).startswith(("127.", "::1", "localhost")):
        with INSIDE.open("a", encoding="ascii") as file:
            file.write(f"{address[0]}\n")
        raise OSError(errno.ENETUNREACH, "the fault suite lets nothing out")


socket.getaddrinfo = getaddrinfo  # type: ignore[assignment]
sys.addaudithook(stay_here)
