"""Alembic's environment: makes a revision of each SQL file, then runs the ones that the database has not seen."""

from types import ModuleType

import sqlalchemy
from alembic import context
from alembic.script import Script

from deploy.migrations import VERSION_TABLE, files


def _revision(name: str, previous: str | None, text: str) -> ModuleType:
    module = ModuleType(name, text.split("\n", 1)[0].lstrip("- "))

    def upgrade() -> None:
        driver = context.get_bind().connection.driver_connection
        assert driver is not None
        driver.execute(text)  # psycopg without parameters: many statements at once, and % is just %
        context.config.attributes.setdefault("applied", []).append(name)

    module.__dict__.update(revision=name, down_revision=previous, branch_labels=None, depends_on=None, upgrade=upgrade)
    return module


def _add_revisions() -> None:
    previous: str | None = None
    for path in files():
        module = _revision(path.stem, previous, path.read_text("utf-8"))
        context.script.revision_map.add_revision(Script(module, path.stem, str(path)))
        previous = path.stem


def run() -> None:
    """One transaction a revision: a file is applied whole or not at all."""
    _add_revisions()
    engine = sqlalchemy.create_engine(context.config.attributes["url"], poolclass=sqlalchemy.NullPool)
    with engine.connect() as connection:
        context.configure(connection=connection, version_table=VERSION_TABLE, transaction_per_migration=True)
        with context.begin_transaction():
            context.run_migrations()


run()
