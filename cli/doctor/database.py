"""PostgreSQL: is it there, and are its migrations this version's."""

import asyncio
from pathlib import Path

import psycopg

from cli.core.findings import Finding, Verdict
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
            return found + [_migrations(connection)]
    except psycopg.Error as error:
        first = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
        return [Finding("postgresql", Verdict.wrong, first, "Start it (`make up`), or mend WAYBILL_DATABASE_URL.")]


def _migrations(connection: "psycopg.Connection[tuple[object, ...]]") -> Finding:
    """The revision that the database is at, against the newest one here."""
    row = connection.execute(
        "SELECT n.nspname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relname = 'alembic_version' ORDER BY 1 LIMIT 1"
    ).fetchone()
    if row is None:
        return Finding("migrations", Verdict.wrong, "none applied", MIGRATE)
    identifier = psycopg.sql.SQL("SELECT version_num FROM {}").format(psycopg.sql.Identifier(str(row[0]), "alembic_version"))
    held = sorted(str(each[0]) for each in connection.execute(identifier).fetchall())
    newest = heads()
    if newest is None:
        return Finding(
            "migrations", Verdict.note, f"at {', '.join(held)}", "The migrations are not installed here, so nothing to compare with."
        )
    if held != newest:
        return Finding("migrations", Verdict.wrong, f"at {', '.join(held) or 'nothing'}, this version needs {', '.join(newest)}", MIGRATE)
    return Finding("migrations", Verdict.ok, f"at {', '.join(held)}")


def heads() -> list[str] | None:
    """The newest revisions of deploy/migrations, None where that isn't installed."""
    folder = Path(__file__).resolve().parents[2] / "deploy" / "migrations"
    if not (folder / "versions").is_dir():
        return None
    from alembic.script import ScriptDirectory

    return sorted(ScriptDirectory(str(folder)).get_heads())
