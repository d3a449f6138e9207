"""Whether the SFTP server greets."""

import asyncio
import contextlib

from cli.core.findings import Finding, Verdict
from cli.settings import Settings

GREETING = b"SSH-2.0-"
LIMIT_SECONDS = 5.0


async def sftp(settings: Settings) -> list[Finding]:
    """Nothing where WAYBILL_SFTP names none. An address that isn't ours is told by what it says, not asked for more."""
    address = settings.get("WAYBILL_SFTP")
    if address is None:
        return []
    host, _, port = address.rpartition(":")
    try:
        async with asyncio.timeout(LIMIT_SECONDS):
            reader, writer = await asyncio.open_connection(host.strip("[]"), int(port))
            said = await reader.readline()
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
    except (OSError, ValueError, TimeoutError) as error:
        why = "no greeting in time" if isinstance(error, TimeoutError) else str(error)
        return [
            Finding("sftp", Verdict.wrong, f"no answer at {address} ({why})", "delivery's log says why; `sftp` in its /health/ready too.")
        ]
    if not said.startswith(GREETING):
        return [Finding("sftp", Verdict.wrong, f"what answers at {address} isn't SSH", "Another program has the port: mend WAYBILL_SFTP.")]
    return [Finding("sftp", Verdict.ok, f"answers at {address}")]
