"""The statements of queries.sql, filled in for each record type."""

from dataclasses import dataclass, fields
from pathlib import Path

import aiosql

from services.ingest.core.rows import RECORD_TYPES, RecordType

_queries = aiosql.from_path(Path(__file__).with_name("queries.sql"), "asyncpg", mandatory_parameters=False)


def statement(name: str) -> str:
    """The text of a query that is the same for all types."""
    text: str = getattr(_queries, name).sql
    return text


@dataclass(frozen=True)
class Statements:
    """One record type's statements; `copied` are the columns of its staging table in order."""

    kind: RecordType
    staging: str
    copied: tuple[str, ...]
    enter_shared: str
    enter_alone: str
    create_staging: str
    has_tombstones: str
    buried: str
    held: str
    put_versions: str
    end_versions: str
    erase_versions: str
    is_known: str
    add_tombstones: str
    remove_tombstones: str


def _statements(kind: RecordType) -> Statements:
    staging = f"staging_{kind.table}"
    quoted = [f'"{c}"' for c in kind.columns]
    filled = {
        "table": kind.table, "staging": f"pg_temp.{staging}", "type": kind.name, "columns": ", ".join(quoted),
        "assignments": ", ".join([f"{c} = excluded.{c}" for c in quoted]), "held_columns": ", ".join([f"h.{c}" for c in quoted]),
        "new_columns": ", ".join([f"excluded.{c}" for c in quoted]), "old_columns": ", ".join([f"old.{c}" for c in quoted]),
    }  # fmt: skip
    names = [f.name for f in fields(Statements) if f.type is str and f.name != "staging"]
    return Statements(kind, staging, ("org_id", "id", "version", *kind.columns), **{n: statement(n).format(**filled) for n in names})


STATEMENTS = {kind.name: _statements(kind) for kind in RECORD_TYPES.values()}
