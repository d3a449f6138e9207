"""The migration tool on a real server: it applies each SQL file once, in order, and sets the services' passwords."""

import secrets
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from psycopg import sql

from deploy.migrations import files, migrate, passwords_from
from tests.conftest import Stack

FILES = [path.stem for path in files()]


@pytest.fixture
def empty_database(stack: Stack) -> Iterator[str]:
    name = f"test_{secrets.token_hex(4)}"
    with psycopg.connect(stack.database_url, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        try:
            yield urlunsplit(urlsplit(stack.database_url)._replace(path=f"/{name}", query=""))
        finally:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def test_every_file_is_applied_once_and_in_order(empty_database: str) -> None:
    assert migrate(empty_database) == FILES
    assert migrate(empty_database) == []
    with psycopg.connect(empty_database) as connection:
        assert connection.execute("SELECT version_num FROM waybill_migrations").fetchall() == [(FILES[-1],)]


def test_two_at_once_take_turns(empty_database: str) -> None:
    with ThreadPoolExecutor() as pool:
        applied = list(pool.map(migrate, [empty_database] * 2))
    assert sorted(applied, key=len) == [[], FILES]


def test_tables_are_owned_by_a_role_that_never_logs_in(empty_database: str) -> None:
    migrate(empty_database)
    query = """
        SELECT DISTINCT r.rolname, r.rolcanlogin FROM pg_class c
        JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_roles r ON r.oid = c.relowner
        WHERE c.relkind IN ('r', 'p') AND n.nspname IN ('ingest', 'tenancy', 'exports', 'delivery')"""
    with psycopg.connect(empty_database) as connection:
        assert connection.execute(query).fetchall() == [("waybill_owner", False)]


def test_a_password_is_set_and_used(stack: Stack, empty_database: str) -> None:
    # Roles belong to the whole server: one that no service of the running stack logs in as.
    role = f"waybill_test_{secrets.token_hex(4)}"
    with psycopg.connect(stack.database_url, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(role)))
        try:
            migrate(empty_database, {role.removeprefix("waybill_"): "it's a secret"})
            with psycopg.connect(empty_database, user=role, password="it's a secret") as own:
                assert own.execute("SELECT current_user").fetchone() == (role,)
            with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
                psycopg.connect(empty_database, user=role, password="another")
        finally:
            connection.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(role)))


def test_passwords_come_from_the_environment() -> None:
    environment = {"WAYBILL_INGEST_DATABASE_PASSWORD": "a", "WAYBILL_DELIVERY_DATABASE_URL": "postgresql://waybill_delivery:b@h/d"}
    assert passwords_from(environment) == {"ingest": "a", "delivery": "b"}
