"""`psql \\copy` of one SQL join: PostgreSQL's own way to a CSV."""

import re
from pathlib import Path

from tests.bench.data import FROM, TO
from tests.bench.paths import HERE
from tests.bench.postgres import psql

JOIN = HERE / "peers" / "messages.sql"
RESOLVED = HERE / "peers" / "resolved.sql"
NESTED = HERE / "peers" / "nested.sql"


def one_line(path: Path, **values: str) -> str:
    """A query file with its `:'name'` filled in, on one line (which is all that \\copy takes)."""
    text = " ".join(line for line in path.read_text("utf-8").splitlines() if not line.startswith("--"))
    return re.sub(r":'(\w+)'", lambda found: "'" + values[found[1]].replace("'", "''") + "'", " ".join(text.split()))


def snapshot(url: str) -> str:
    """The instant that is now, as an export stores it."""
    return psql(url, "-c", "SELECT pg_current_snapshot()").strip()


def messages_query(url: str, org_id: str) -> str:
    """The join over all messages of the organisation, as of now."""
    return one_line(JOIN, org_id=org_id, snapshot=snapshot(url), **{"from": FROM, "to": TO})


def resolved_query(url: str, org_id: str) -> str:
    """All columns of resolved-conversations, as of now."""
    return one_line(RESOLVED, org_id=org_id, snapshot=snapshot(url), **{"from": FROM, "to": TO})


def nested_query(url: str, org_id: str) -> str:
    """All leads with their conversations as JSON, as of now."""
    return one_line(NESTED, org_id=org_id, snapshot=snapshot(url))


def copy_lines(url: str, query: str, target: Path, *settings: str) -> None:
    """Write the query's one column as lines; `settings` are SQL statements to run before."""
    before = [word for setting in settings for word in ("-c", setting)]
    psql(url, *before, "-c", f"\\copy ({query}) TO '{target}'")


def copy_csv(url: str, query: str, target: Path, *settings: str) -> None:
    """Write the query's rows as CSV; `settings` are SQL statements to run before."""
    before = [word for setting in settings for word in ("-c", setting)]
    psql(url, *before, "-c", f"\\copy ({query}) TO '{target}' (FORMAT csv, HEADER)")
