"""Keeps webhooks from reaching inside: a name is resolved once, refused if any of its addresses is, and the connection goes to those addresses.

The rule is applied twice: when a name is resolved, and to the very address of every socket before it is made, so that no way of writing an
address and no cache gets around it.
"""

import asyncio
import socket
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from aiohttp.abc import AbstractResolver, ResolveResult

from services.delivery.core.addresses import is_allowed

RESOLVING_MAX = 64


class AddressRefused(OSError):
    """The name leads, or also leads, to an address that is not public. The address is not named: it may tell of what is inside."""

    def __init__(self) -> None:
        super().__init__("the host has an address that is not public")


class GuardedResolver(AbstractResolver):
    """The system's resolver, on threads of its own, so that names that never resolve hold up only each other."""

    def __init__(self, allow_loopback: bool) -> None:
        self._allow_loopback = allow_loopback
        self._threads = ThreadPoolExecutor(RESOLVING_MAX, thread_name_prefix="resolve")

    async def resolve(self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC) -> list[ResolveResult]:
        """Raises AddressRefused where any address is refused, OSError where the name has none."""
        found = await asyncio.get_running_loop().run_in_executor(self._threads, self._look_up, host, port, family)
        if not all(is_allowed(str(each["host"]), self._allow_loopback) for each in found):
            raise AddressRefused
        return found

    def _look_up(self, host: str, port: int, family: socket.AddressFamily) -> list[ResolveResult]:
        infos = socket.getaddrinfo(host, port, family=family, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
        return [
            ResolveResult(
                hostname=host, host=_text(address), port=port, family=kind, proto=proto, flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
            )
            for kind, _, proto, _, address in infos
        ]

    async def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)


def _text(address: Any) -> str:
    """The address of a socket's name; a zone stays on it, and makes it one that is refused."""
    host = str(address[0])
    return f"{host}%{address[3]}" if len(address) > 3 and address[3] and "%" not in host else host


def guarded_socket(allow_loopback: bool) -> Any:
    """A factory of sockets that refuses, by AddressRefused, before there is one."""

    def make(info: Any) -> socket.socket:
        family, kind, proto, _, address = info
        if not is_allowed(_text(address), allow_loopback):
            raise AddressRefused
        return socket.socket(family=family, type=kind, proto=proto)

    return make
