"""DuckDB writing JSON lines from PostgreSQL. Run as a program, so that every run starts afresh: `python -m tests.bench.peers.duck URL SELECT TARGET`."""

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
    pulled = ", ".join(f"{key} AT TIME ZONE 'UTC' AS {key}" if key in TIMES else key for key in KEYS)
    escaped = f"SELECT {pulled} FROM ({query}) AS q({', '.join(KEYS)})".replace("'", "''")
    return f"SELECT {', '.join(_columns())} FROM postgres_query('pg', '{escaped}')"


def _columns() -> list[str]:
    return [
        f"strftime({key}, '%Y-%m-%d %H:%M:%S.%g') AS {key}" if key in TIMES
        else f"coalesce(string_split({key}, ','), []) AS {key}" if key in LISTS
        else key
        for key in KEYS
    ]  # fmt: skip


def select_joining(org_id: str, snapshot: str, start: str, end: str) -> str:
    """DuckDB's SELECT with the messages fetched in order and everything joined in DuckDB."""

    def pulled(table: str, columns: str, more: str = "") -> str:
        visible = f"pg_visible_in_snapshot(added, '{snapshot}') AND (ended IS NULL OR NOT pg_visible_in_snapshot(ended, '{snapshot}'))"
        query = f"SELECT {columns} FROM ingest.{table} WHERE org_id = '{org_id}' AND {visible} {more}".replace("'", "''")
        return f"postgres_query('pg', '{query}')"

    messages = pulled(
        "messages",
        "id, created_at AT TIME ZONE 'UTC' AS created_at, conversation_id, message_type, origin, outbound_message_type, sender_kind, "
        "CASE WHEN sender_kind = 'agent' THEN sender_id END AS agent_id, content, post_url, updated_at AT TIME ZONE 'UTC' AS updated_at, "
        "deleted_at AT TIME ZONE 'UTC' AS deleted_at",
        f"AND created_at >= '{start}' AND created_at < '{end}' ORDER BY created_at, id",
    )
    tag_events = pulled("events", "id, at AS happened, kind, tag_id, message_id", "AND tag_id IS NOT NULL AND message_id IS NOT NULL")
    joined = f"""
        WITH held AS (
            SELECT message_id, tag_id, min((happened, id)) FILTER (kind = 'tag_applied') AS first_applied, arg_max(kind, (happened, id)) AS last_kind
            FROM {tag_events} GROUP BY ALL
        ), lists AS (
            SELECT h.message_id, list(h.tag_id ORDER BY first_applied) AS tag_ids, list(coalesce(t.name, '') ORDER BY first_applied) AS tag_names
            FROM held h LEFT JOIN {pulled("tags", "id, name")} t ON t.id = h.tag_id WHERE last_kind = 'tag_applied' GROUP BY ALL
        )
        SELECT m.id, m.created_at, m.conversation_id, ch.medium, ch.name, ch.display_name, c.contact_id, k.primary_identifier,
               k.secondary_identifier, m.message_type, m.origin, m.outbound_message_type,
               CASE WHEN m.sender_kind = 'visitor' THEN 'Inbound' ELSE 'Outbound' END, m.agent_id, a.name, a.reference, a.team_id, t.name,
               l.tag_ids, l.tag_names, m.content, c.url, m.post_url, m.updated_at, m.deleted_at
        FROM {messages} m
        LEFT JOIN {pulled("conversations", "id, channel_id, contact_id, url")} c ON c.id = m.conversation_id
        LEFT JOIN {pulled("channels", "id, medium, name, display_name")} ch ON ch.id = c.channel_id
        LEFT JOIN {pulled("contacts", "id, primary_identifier, secondary_identifier")} k ON k.id = c.contact_id
        LEFT JOIN {pulled("agents", "id, name, reference, team_id")} a ON a.id = m.agent_id
        LEFT JOIN {pulled("teams", "id, name")} t ON t.id = a.team_id
        LEFT JOIN lists l ON l.message_id = m.id"""
    columns = [
        column.replace("string_split(tag_ids, ',')", "tag_ids").replace("string_split(tag_names, ',')", "tag_names")
        for column in _columns()
    ]
    return f"SELECT {', '.join(columns)} FROM ({joined}) q({', '.join(KEYS)}) ORDER BY q.created_at, q.message_id"


def write_jsonl(url: str, select_text: str, target: Path) -> None:
    """Run it as a program of its own; raises BenchError with its last words."""
    command = [sys.executable, "-m", "tests.bench.peers.duck", url, select_text, str(target)]
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


def _main(url: str, select_text: str, target: str) -> None:
    connection = duckdb.connect(config={"threads": 2})
    duckdb_extensions.import_extension("postgres_scanner", con=connection)
    connection.execute("LOAD postgres_scanner")
    connection.execute(f"ATTACH '{url}' AS pg (TYPE postgres, READ_ONLY)")
    connection.execute(f"COPY ({select_text}) TO '{target}' (FORMAT json)")


if __name__ == "__main__":
    _main(*sys.argv[1:])
