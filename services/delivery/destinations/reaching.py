"""The way to a destination's server, and what can be wrong with it: one word for each cause, and whether waiting helps."""

import asyncio
import errno
import socket
import ssl

from services.delivery.core.destinations.problems import Code, Undelivered
from services.delivery.guard import Guard, cause_of, was_refused

CONNECT_SECONDS = 10.0
_NO_WAY = (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EACCES, errno.EPERM, errno.EADDRNOTAVAIL, errno.ENETDOWN)


async def reach(guard: Guard, host: str, port: int, seconds: float = CONNECT_SECONDS) -> socket.socket:
    """A connected socket for a protocol that takes one (`sock=`); who calls closes it where the protocol doesn't get it. Raises Undelivered."""
    try:
        async with asyncio.timeout(seconds):
            return await guard.connect(host, port)
    except (OSError, UnicodeError) as error:
        raise unreached(error, f"{host}:{port}", seconds) from error


def unreached(error: BaseException, where: str, seconds: float = CONNECT_SECONDS) -> Undelivered:
    """What an error of the connection to `where` (for people: host:port) means. Errors of sockets, of TLS, and those of libraries that name these as
    their cause."""
    if was_refused(error):
        return Undelivered(
            Code.address_refused, f"{where} leads to an address that is not public, nor allowed here by an operator.", again=False
        )
    if distrusted := cause_of(error, ssl.SSLCertVerificationError):
        why = getattr(distrusted, "verify_message", "").rstrip(".") or "unknown reason"  # OpenSSL's words: "self-signed certificate", …
        return Undelivered(Code.tls_failed, f"The certificate of {where} can't be trusted: {why}.")
    if cause_of(error, ssl.SSLError):
        return Undelivered(Code.tls_failed, f"No TLS connection to {where} could be made.")
    if cause_of(error, socket.gaierror, UnicodeError):
        return Undelivered(Code.name_not_found, f"The name in {where} could not be found.")
    if cause_of(error, TimeoutError):
        return Undelivered(Code.timeout, f"{where} did not answer within {seconds:g} seconds.")
    if cause_of(error, ConnectionRefusedError):
        return Undelivered(Code.refused, f"Nothing listens at {where}.")
    if isinstance(error, OSError) and error.errno in _NO_WAY:
        return Undelivered(Code.refused, f"There is no way to {where} in the network.")
    return Undelivered(Code.disconnected, f"The connection to {where} ended.")
