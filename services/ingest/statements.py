"""The statements of queries.sql, filled in for each record type."""

from dataclasses import dataclass, fields
from pathlib import Path

import aiosql

from services.ingest.core.contents import CONTENTS
from services.ingest.core.rows import RECORD_TYPES, RecordType
from services.ingest.core.touches import TOUCHES

_queries = aiosql.from_path(Path(__file__).with_name("queries.sql"), "asyncpg", mandatory_parameters=False)


def statement(name: str) -> str:
    """The text of a query that is the same for all types."""
    text: str = getattr(_queries, name).sql
    return text


@dataclass(frozen=True)
class Statements:
    """One record type's statements; `copied` are the columns of its staging table in order. Only types that hold content have the last two."""

    kind: RecordType
    staging: str
    copied: tuple[str, ...]
    enter_shared: str
    enter_alone: str
    create_staging: str
    are_there: str
    buried: str
    held: str
    put_versions: str
    end_versions: str
    erase_versions: str
    is_known: str
    add_tombstones: str
    remove_tombstones: str
    erase_content: str
    empty_staged: str


def _statements(kind: RecordType) -> Statements:
    staging = f"staging_{kind.table}"
    quoted = [f'"{c}"' for c in kind.columns]
    filled = {
        "table": kind.table, "staging": f"pg_temp.{staging}", "type": kind.name, "columns": ", ".join(quoted),
        "assignments": ", ".join([f"{c} = excluded.{c}" for c in quoted]), "held_columns": ", ".join([f"h.{c}" for c in quoted]),
        "new_columns": ", ".join([f"excluded.{c}" for c in quoted]), "old_columns": ", ".join([f"old.{c}" for c in quoted]),
    } | _touched(kind.name)  # fmt: skip
    content = CONTENTS.get(kind.name)
    filled |= {"emptied": content.emptied, "conversation": content.conversation} if content else {"emptied": "", "conversation": ""}
    names = [f.name for f in fields(Statements) if f.type is str and f.name != "staging"]
    return Statements(kind, staging, ("org_id", "id", "version", *kind.columns), **{n: statement(n).format(**filled) for n in names})


def _touched(name: str) -> dict[str, str]:
    """What the type's statements note of touched leads; nothing where no score follows from it."""
    if (touches := TOUCHES.get(name)) is None:
        return {"put_touching": "", "touched": "", "touched_by_end": ""}
    put = [f"put_{column}" for column in touches.columns]
    filled = {
        "through": touches.through, "key": touches.key, "touching": ", ".join(touches.columns), "put_touching": ", ".join(put),
        "counts": touches.counts.format(row=""), "put_counts": touches.counts.format(row="put_"),
    }  # fmt: skip
    return {
        "put_touching": "".join([f", new.{column} AS put_{column}" for column in touches.columns]),
        "touched": statement("note_touches").format(**filled),
        # A deleted lead has no score to work out.
        "touched_by_end": statement("note_touches_of_ended").format(**filled) if name != "lead" else "",
    }


STATEMENTS = {kind.name: _statements(kind) for kind in RECORD_TYPES.values()}
