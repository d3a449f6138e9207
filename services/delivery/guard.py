"""Keeps what we open to the outside from reaching inside: a name is resolved once, refused if any of its addresses is, and the connection goes to those
addresses.

The rule is applied twice: when a name is resolved, and to the very address of every socket before it is made, so that no way of writing an
address and no cache gets around it.
"""

import asyncio
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import aiohappyeyeballs
import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from services.delivery.core.addresses import AddressRule

E = TypeVar("E", bound=BaseException)
RESOLVING_MAX = 64
NEXT_ADDRESS_SECONDS = 0.25  # RFC 8305: until the next address is tried beside the last one
DNS_CACHE_SECONDS = 10


class AddressRefused(OSError):
    """The name leads, or also leads, to an address that is not allowed. The address is not named: it may tell of what is inside."""

    def __init__(self) -> None:
        super().__init__("the host has an address that is not public")


class Guard:
    """One rule, and the ways out that keep to it. Must be made and used in one event loop."""

    def __init__(self, rule: AddressRule) -> None:
        self.rule = rule
        self._resolver = GuardedResolver(rule)

    def connector(self, **options: Any) -> aiohttp.TCPConnector:
        """For an aiohttp session, which closes it; `close` is still to be called."""
        return aiohttp.TCPConnector(
            resolver=self._resolver, socket_factory=guarded_socket(self.rule), limit=0, ttl_dns_cache=DNS_CACHE_SECONDS, **options
        )

    async def connect(self, host: str, port: int) -> socket.socket:
        """A connected socket, non-blocking, for protocols that take one (`sock=`); who calls closes it, and sets the time for it (asyncio.timeout).

        `host` is a name or an address, in any way of writing. Raises AddressRefused, socket.gaierror where the name has no address, OSError where nobody
        answers.
        """
        found = await self._resolver.resolve(host, port)
        infos = [(each["family"], socket.SOCK_STREAM, each["proto"], "", _address(each)) for each in found]
        return await aiohappyeyeballs.start_connection(
            infos, happy_eyeballs_delay=NEXT_ADDRESS_SECONDS, interleave=1, socket_factory=guarded_socket(self.rule)
        )

    async def close(self) -> None:
        await self._resolver.close()


class GuardedResolver(AbstractResolver):
    """The system's resolver, on threads of its own, so that names that never resolve hold up only each other."""

    def __init__(self, rule: AddressRule) -> None:
        self._rule = rule
        self._threads = ThreadPoolExecutor(RESOLVING_MAX, thread_name_prefix="resolve")

    async def resolve(self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC) -> list[ResolveResult]:
        """Raises AddressRefused where any address is refused, OSError where the name has none."""
        found = await asyncio.get_running_loop().run_in_executor(self._threads, self._look_up, host, port, family)
        if not all(self._rule.allows(str(each["host"])) for each in found):
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


def _address(found: ResolveResult) -> tuple[Any, ...]:
    """As a socket takes it."""
    place = (found["host"], found["port"])
    return (*place, 0, 0) if found["family"] == socket.AF_INET6 else place


def guarded_socket(rule: AddressRule) -> Callable[[Any], socket.socket]:
    """A factory of sockets that refuses, by AddressRefused, before there is one."""

    def make(info: Any) -> socket.socket:
        family, kind, proto, _, address = info
        if not rule.allows(_text(address)):
            raise AddressRefused
        return socket.socket(family=family, type=kind, proto=proto)

    return make


def was_refused(error: BaseException) -> bool:
    """Whether the guard is behind an error."""
    return cause_of(error, AddressRefused) is not None


def cause_of(error: BaseException, *kinds: type[E]) -> E | None:
    """The error of one of these kinds that is the error, is behind it, or is among several that happened at once."""
    left: list[BaseException | None] = [error]
    seen: set[int] = set()
    while left:
        each = left.pop()
        if isinstance(each, kinds):
            return each
        if each is not None and id(each) not in seen:
            seen.add(id(each))
            left += [each.__cause__, each.__context__, getattr(each, "os_error", None), *getattr(each, "exceptions", ())]
    return None
