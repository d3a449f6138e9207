"""What every command that speaks Kafka needs first: a quick word on whether anyone is there."""

import asyncio
import contextlib
import logging

from cli.errors import CliError, UsageError

CONNECT_SECONDS = 3.0


def servers(brokers: str) -> list[tuple[str, int]]:
    """`host:port` pairs of a list with commas. Raises UsageError for what isn't one."""
    found = []
    for each in brokers.split(","):
        host, colon, port = each.strip().rpartition(":")
        if not colon or not host or not port.isdecimal() or not 0 < int(port) < 65536:
            raise UsageError(f"WAYBILL_KAFKA: '{each.strip()}' is not host:port.")
        found.append((host.strip("[]"), int(port)))
    return found


async def reachable(brokers: str) -> None:
    """Returns when one of the brokers takes a connection; raises CliError at once where none does (the client would try for a minute)."""
    # The client's own log lines (a coordinator that isn't there yet) would break into tables and bars.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    reason = ""
    for host, port in servers(brokers):
        try:
            _, writer = await asyncio.wait_for(asyncio.open_connection(host, port), CONNECT_SECONDS)
        except (OSError, TimeoutError) as error:
            reason = getattr(error, "strerror", None) or str(error) or "no answer"
            continue
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
        return
    raise CliError(f"WAYBILL_KAFKA: no broker answers at {brokers} ({reason}); is it running? `waybill doctor` says more.", "unreachable")
