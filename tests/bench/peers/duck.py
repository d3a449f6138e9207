"""DuckDB writing JSON lines from PostgreSQL. Run as a program, so that every run starts afresh: `python -m tests.bench.peers.duck URL QUERY TARGET`."""

import hashlib
import subprocess
import sys
from pathlib import Path

import duckdb
import duckdb_extensions

from tests.bench.paths import ROOT
from tests.bench.stack import BenchError

KEYS = (
    "message_id", "created_at", "conversation_id", "medium", "channel", "channel_display_name", "contact_profile_id",
    "contact_primary_identifier", "contact_secondary_identifier", "message_type", "origin", "outbound_message_type", "direction", "agent_id",
    "agent_name", "agent_reference", "team_id", "team_name", "tag_ids", "tag_names", "content", "conversation_url", "post_url", "last_updated",
    "deleted_at",
)  # fmt: skip
TIMES = ("created_at", "last_updated", "deleted_at")
LISTS = ("tag_ids", "tag_names")


def select(query: str) -> str:
    """DuckDB's SELECT over the join, which PostgreSQL runs: times as text, lists as lists."""
    columns = [
        f"strftime({key}, '%Y-%m-%d %H:%M:%S.%g') AS {key}" if key in TIMES
        else f"coalesce(string_split({key}, ','), []) AS {key}" if key in LISTS
        else key
        for key in KEYS
    ]  # fmt: skip
    pulled = ", ".join(f"{key} AT TIME ZONE 'UTC' AS {key}" if key in TIMES else key for key in KEYS)
    escaped = f"SELECT {pulled} FROM ({query}) AS q({', '.join(KEYS)})".replace("'", "''")
    return f"SELECT {', '.join(columns)} FROM postgres_query('pg', '{escaped}')"


def write_jsonl(url: str, query: str, target: Path) -> None:
    """Run it as a program of its own; raises BenchError with its last words."""
    command = [sys.executable, "-m", "tests.bench.peers.duck", url, query, str(target)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        raise BenchError(f"DuckDB: {done.stderr.strip()[-500:]}")


def same_lines(ours: Path, theirs: Path) -> str:
    """A sentence that says how the two files compare, byte for byte; raises BenchError where they differ."""
    digests = []
    for path in (ours, theirs):
        with open(path, "rb") as file:
            digests.append(hashlib.file_digest(file, "sha256").hexdigest())
    if digests[0] != digests[1]:
        raise BenchError(f"{ours} and {theirs} differ: sha256 {digests[0]} and {digests[1]}")
    return f"Both files are the same bytes ({ours.stat().st_size / 1e9:.2f} GB)."


def _main(url: str, query: str, target: str) -> None:
    connection = duckdb.connect(config={"threads": 2})
    duckdb_extensions.import_extension("postgres_scanner", con=connection)
    connection.execute("LOAD postgres_scanner")
    connection.execute(f"ATTACH '{url}' AS pg (TYPE postgres, READ_ONLY)")
    connection.execute(f"COPY ({select(query)}) TO '{target}' (FORMAT json)")


if __name__ == "__main__":
    _main(*sys.argv[1:])
