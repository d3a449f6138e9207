"""The database's history: one revision for each file of `sql/`, in the order of their names, applied by Alembic.

A migration is added by adding `sql/NNNN_what_it_does.sql`; nothing else. A file that has been released is never changed.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import unquote, urlsplit

import psycopg
from alembic import command
from alembic.config import Config
from psycopg import sql

HERE = Path(__file__).parent
SERVICES = ("ingest", "lead_scoring", "export_request", "formatter", "delivery")
# Held while migrating, so that two that start at once take turns.
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
    config = Config()
    config.set_main_option("script_location", str(HERE))
    config.attributes["url"] = sqlalchemy_url(database_url)
    applied: list[str] = []
    config.attributes["applied"] = applied
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("SELECT pg_advisory_lock(%s)", [LOCK_KEY])
        command.upgrade(config, "head")
        for service, password in (passwords or {}).items():
            _set_password(connection, f"waybill_{service}", password)
    return applied


def _set_password(connection: psycopg.Connection[tuple[object, ...]], role: str, password: str) -> None:
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
