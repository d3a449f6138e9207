"""All checks at once, each with a limit, so that a dead dependency costs seconds and hides nothing else."""

import asyncio
from collections.abc import Awaitable, Callable

from cli.core.findings import Finding, Verdict
from cli.doctor import database, kafka, machine, services, sftp, store
from cli.errors import CliError
from cli.settings import Settings

Check = Callable[[Settings], Awaitable[list[Finding]]]
CHECKS: dict[str, Check] = {
    "python": machine.python,
    "java": machine.java,
    "disk": machine.disk,
    "kafka": kafka.kafka,
    "postgresql": database.database,
    "store": store.store,
    "services": services.services,
    "gateway": services.gateway,
    "sftp": sftp.sftp,
}
LIMIT_SECONDS = 20


async def examine(settings: Settings) -> list[Finding]:
    """Every finding, in the order of CHECKS. A check that fails in a way of its own is a finding too."""
    found = await asyncio.gather(*(_bounded(name, check, settings) for name, check in CHECKS.items()))
    return [finding for findings in found for finding in findings]


async def _bounded(name: str, check: Check, settings: Settings) -> list[Finding]:
    try:
        return await asyncio.wait_for(check(settings), LIMIT_SECONDS)
    except TimeoutError:
        return [
            Finding(
                name, Verdict.wrong, f"no answer within {LIMIT_SECONDS} s", "It takes connections and then says nothing: look into its log."
            )
        ]
    except (CliError, OSError, ValueError) as error:
        return [Finding(name, Verdict.wrong, str(error) or type(error).__name__)]
