"""This machine: Python, Java, room on the disk."""

import asyncio
import shutil
import sys
from pathlib import Path

from cli.core.findings import Finding, Verdict, java_major
from cli.settings import Settings

DISK_GB_WRONG, DISK_GB_NOTE = 1.0, 5.0


async def python(_: Settings) -> list[Finding]:
    version = ".".join(str(part) for part in sys.version_info[:3])
    good = sys.version_info >= (3, 11)
    return [Finding("python", Verdict.ok if good else Verdict.wrong, version, "" if good else "Waybill needs Python 3.11 or newer.")]


async def java(_: Settings) -> list[Finding]:
    """Java runs the local Kafka only: without one, a Kafka elsewhere does as well."""
    path = shutil.which("java")
    advice = "The local stack's Kafka needs Java 17 or newer (with a Kafka elsewhere: nothing to do)."
    if path is None:
        return [Finding("java", Verdict.note, "not found", advice)]
    process = await asyncio.create_subprocess_exec(path, "-version", stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT)
    text = (await process.communicate())[0].decode("utf-8", "replace")
    major = java_major(text)
    if major is None or major < 17:
        return [Finding("java", Verdict.note, str(major or "version unknown"), advice)]
    return [Finding("java", Verdict.ok, str(major))]


async def disk(_: Settings) -> list[Finding]:
    free = shutil.disk_usage(Path.cwd()).free / 1e9
    verdict = Verdict.wrong if free < DISK_GB_WRONG else Verdict.note if free < DISK_GB_NOTE else Verdict.ok
    return [
        Finding(
            "disk",
            verdict,
            f"{free:,.1f} GB free at {Path.cwd()}",
            "" if verdict is Verdict.ok else "Make room: exports and Kafka's log need it.",
        )
    ]
