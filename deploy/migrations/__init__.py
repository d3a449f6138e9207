"""The database's history: one revision for each file of `sql/`, in the order of their names, applied by Alembic.

A migration is added by adding `sql/NNNN_what_it_does.sql`; nothing else. A file that has been released is never changed.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import psycopg
from psycopg import sql

HERE = Path(__file__).parent
SERVICES = ("ingest", "lead_scoring", "export_request", "formatter", "delivery")
Connection = psycopg.Connection[tuple[Any, ...]]
# Held while migrating, so that two that start at once take turns.
VERSION_TABLE = "waybill_migrations"
LOCK_KEY = int.from_bytes(hashlib.sha256(b"waybill migrations").digest()[:7], "big")


def sqlalchemy_url(database_url: str) -> str:
    """The same URL, telling SQLAlchemy which driver to use."""
    scheme, rest = database_url.split("://", 1)
    if scheme not in ("postgresql", "postgres"):
        raise ValueError(f"the database's URL must begin with postgresql://, not {scheme}://")
    return f"postgresql+psycopg://{rest}"


def migrate(database_url: str, passwords: Mapping[str, str] | None = None) -> list[str]:
    """Bring a database up to date; answers the revisions that were applied now, oldest first.

    `database_url` is a superuser's, or the owner's of the database with CREATEROLE. `passwords` (service → password) become those of the
    roles `waybill_<service>`, for each service named; they are hashed before they are sent, so that no server log holds one.
    Raises psycopg.Error or sqlalchemy.exc.SQLAlchemyError when the database refuses.
    """
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("SELECT pg_advisory_lock(%s)", [LOCK_KEY])
        applied = [] if _current(connection) == files()[-1].stem else _upgrade(database_url)
        for service, password in (passwords or {}).items():
            _set_password(connection, f"waybill_{service}", password)
    return applied


def files() -> list[Path]:
    """The SQL files in the order in which they are applied; a file's name without its ending is its revision."""
    return sorted((HERE / "sql").glob("*.sql"))


def _current(connection: Connection) -> str | None:
    if connection.execute("SELECT to_regclass(%s) IS NULL", [VERSION_TABLE]).fetchone() == (True,):
        return None
    row = connection.execute(sql.SQL("SELECT version_num FROM {}").format(sql.Identifier(VERSION_TABLE))).fetchone()
    return str(row[0]) if row else None


def _upgrade(database_url: str) -> list[str]:
    # Alembic takes most of a second to import: only for those who have something to apply.
    from alembic import command
    from alembic.config import Config

    applied: list[str] = []
    config = Config()
    config.set_main_option("script_location", str(HERE).replace("%", "%%"))
    config.attributes.update(url=sqlalchemy_url(database_url), applied=applied)
    command.upgrade(config, "head")
    return applied


def _set_password(connection: Connection, role: str, password: str) -> None:
    hashed = connection.pgconn.encrypt_password(password.encode(), role.encode(), b"scram-sha-256").decode()
    connection.execute(sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(role), sql.Literal(hashed)))


def passwords_from(environment: Mapping[str, str]) -> dict[str, str]:
    """The services' passwords from WAYBILL_<SERVICE>_DATABASE_PASSWORD, else from the URL in WAYBILL_<SERVICE>_DATABASE_URL."""
    found: dict[str, str] = {}
    for service in SERVICES:
        variable = f"WAYBILL_{service.upper()}_DATABASE"
        password = environment.get(f"{variable}_PASSWORD") or unquote(urlsplit(environment.get(f"{variable}_URL", "")).password or "")
        if password:
            found[service] = password
    return found
