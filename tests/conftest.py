"""The real parts that tests run on. `make test` starts a stack of its own and names its environment file in WAYBILL_ENV_FILE."""

import os
import secrets
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
import structlog
from hypothesis import settings as hypothesis_settings
from psycopg import sql
from xdist.scheduler import LoadScopeScheduling
from xdist.workermanage import WorkerController

ROOT = Path(__file__).resolve().parent.parent
MIGRATIONS = ROOT / "deploy" / "migrations" / "sql"


# How long an example takes says how busy the machine is, and nothing of the code.
hypothesis_settings.register_profile("waybill", deadline=None)
hypothesis_settings.load_profile("waybill")

# As long as nobody sets logging up: a failure's traceback as Python prints it. structlog's own would draw the values of every frame, for seconds each.
structlog.configure(
    processors=[
        *structlog.get_config()["processors"][:-1],
        structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback),
    ]
)

# What runs on one stack runs on one worker; the longest begin first, so that no worker ends long after the others.
LONG = ("e2e", "operate", "secured", "faults")
LONG_AT_ONCE = 2  # they wait much: another worker has what they leave of the cores


class Grouped(LoadScopeScheduling):
    """With workers (`-n`), each has whole groups for itself: those who share a stack, otherwise a file."""

    def _split_scope(self, nodeid: str) -> str:
        return _group(nodeid)

    def _assign_work_unit(self, node: WorkerController) -> None:
        others = (units for other, units in self.assigned_work.items() if other is not node)
        long = [group for units in others for group, done in units.items() if group in LONG and not all(done.values())]
        if len(long) >= LONG_AT_ONCE and (short := next((group for group in self.workqueue if group not in LONG), None)):
            self.workqueue.move_to_end(short, last=False)
        super()._assign_work_unit(node)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    return Grouped(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: LONG.index(group) if (group := _group(item.nodeid)) in LONG else len(LONG))


def _group(nodeid: str) -> str:
    """Of a test's file, from tests/ on. `faults` is the rounds alone: the rest of that folder needs no stack."""
    path = Path(nodeid.partition("::")[0])
    folder = "e2e" if path.parts[1] == "fuzz" else path.parts[1]
    whole = folder in LONG and (folder != "faults" or path.name == "test_rounds.py")
    return folder if whole else str(path)


@dataclass(frozen=True)
class Stack:
    """A running stack, as its environment file describes it."""

    env: dict[str, str]

    @property
    def url(self) -> str:
        return self.env["WAYBILL_URL"]

    @property
    def api_key(self) -> str:
        return self.env["WAYBILL_API_KEY"]

    @property
    def kafka(self) -> str:
        return self.env["WAYBILL_KAFKA"]

    @property
    def database_url(self) -> str:
        """PostgreSQL as superuser."""
        return self.env["WAYBILL_DATABASE_URL"]


@dataclass(frozen=True)
class Database:
    """A migrated database of a test module's own, in the stack's PostgreSQL."""

    url: str  # superuser

    def as_service(self, service: str) -> str:
        """A URL for asyncpg whose sessions are `waybill_<service>`, so that row-level security and grants are real."""
        return f"{self.url}?role=waybill_{service}"

    def libpq(self, service: str) -> str:
        """The same for libpq (DuckDB, psycopg, psql)."""
        return f"{self.url}?options=-c%20role%3Dwaybill_{service}"


def read_environment(path: Path) -> dict[str, str]:
    """Shell syntax, one NAME=value a line."""
    pairs = [word.partition("=") for line in path.read_text("utf-8").splitlines() for word in shlex.split(line, comments=True)]
    return {name: value for name, separator, value in pairs if separator}


@pytest.fixture(scope="session")
def stack() -> Stack:
    path = Path(os.environ.get("WAYBILL_ENV_FILE", ROOT / ".local-test" / "waybill.env"))
    if path.exists():
        return Stack(read_environment(path) | {k: v for k, v in os.environ.items() if k.startswith("WAYBILL_")})
    if "WAYBILL_DATABASE_URL" in os.environ:
        return Stack(dict(os.environ))
    pytest.fail(f"No stack: {path} is missing. `make test` starts one; or set WAYBILL_ENV_FILE.")


@contextmanager
def fresh_database(stack: Stack, template: str = "template1") -> Iterator[str]:
    """The name of a database that is a copy of another, gone again behind the tests."""
    name = f"test_{secrets.token_hex(4)}"
    with psycopg.connect(stack.database_url, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(template)))
    try:
        yield name
    finally:
        with psycopg.connect(stack.database_url, autocommit=True) as connection:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def url_of(stack: Stack, name: str) -> str:
    return urlunsplit(urlsplit(stack.database_url)._replace(path=f"/{name}", query=""))


@pytest.fixture(scope="session")
def migrated(stack: Stack) -> Iterator[str]:
    """The name of a migrated database that nobody works in: copying it takes a tenth of the time that migrating takes."""
    with fresh_database(stack) as name:
        migrate(url_of(stack, name))
        yield name


@pytest.fixture(scope="module")
def database(stack: Stack, migrated: str) -> Iterator[Database]:
    with fresh_database(stack, migrated) as name:
        yield Database(url_of(stack, name))


def migrate(url: str) -> None:
    """The migrations' SQL as it is; that the migration tool applies the same files has a test of its own."""
    with psycopg.connect(url, autocommit=True) as connection:
        for path in sorted(MIGRATIONS.glob("*.sql")):
            connection.execute(path.read_text("utf-8").encode())
