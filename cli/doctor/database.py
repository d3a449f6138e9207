"""PostgreSQL: is it there, and are its migrations this version's."""

import asyncio
import time
from pathlib import Path
from typing import Any

import psycopg

from cli.core.findings import Finding, Verdict, clock_finding
from cli.doctor.tables import outboxes, roles, row_security, running
from cli.settings import Settings

MIGRATE = "`waybill migrate` brings it to this version."
CONNECT_SECONDS = 3


async def database(settings: Settings) -> list[Finding]:
    url = settings.get("WAYBILL_DATABASE_URL")
    if url is None:
        return [Finding("postgresql", Verdict.wrong, "WAYBILL_DATABASE_URL isn't set", "Set it, or start the stack (`make up`).")]
    return await asyncio.to_thread(_look, url)


def _look(url: str) -> list[Finding]:
    try:
        with psycopg.connect(url, connect_timeout=CONNECT_SECONDS) as connection:
            row = connection.execute("SELECT current_setting('server_version')").fetchone()
            found = [Finding("postgresql", Verdict.ok, f"version {row[0] if row else '?'}")]
            found += [_migrations(connection), _clock(connection)]
            if found[1].verdict is not Verdict.wrong:
                found += [roles(connection), row_security(connection), *running(connection), *outboxes(connection)]
            return found
    except psycopg.Error as error:
        first = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
        return [Finding("postgresql", Verdict.wrong, first, "Start it (`make up`), or mend WAYBILL_DATABASE_URL.")]


def _migrations(connection: "psycopg.Connection[tuple[Any, ...]]") -> Finding:
    """The revision that the database is at, against the newest one here."""
    row = connection.execute("SELECT to_regclass('waybill_migrations') IS NOT NULL").fetchone()
    if row is None or not row[0]:
        return Finding("migrations", Verdict.wrong, "none applied", MIGRATE)
    held = connection.execute("SELECT version_num FROM waybill_migrations").fetchone()
    at, newest = str(held[0]) if held else "nothing", newest_revision()
    if newest is None:
        return Finding(
            "migrations", Verdict.note, f"at {at}", "The migrations are not installed here, so there is nothing to compare with."
        )
    if at != newest:
        return Finding("migrations", Verdict.wrong, f"at {at}, this version needs {newest}", MIGRATE)
    return Finding("migrations", Verdict.ok, f"at {at}")


def _clock(connection: "psycopg.Connection[tuple[Any, ...]]") -> Finding:
    row = connection.execute("SELECT extract(epoch FROM clock_timestamp())::float").fetchone()
    return clock_finding("clock of postgresql", float(row[0]) - time.time() if row else 0.0)


def newest_revision() -> str | None:
    """The name of the last file of deploy/migrations/sql, None where that isn't installed."""
    folder = Path(__file__).resolve().parents[2] / "deploy" / "migrations" / "sql"
    return max((path.stem for path in folder.glob("*.sql")), default=None)
