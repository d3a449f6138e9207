"""A later state of the same records, written as ingest does: a version ends, the next one takes its place."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import psycopg
from psycopg import sql

from tests.integration.engine.loader import TABLES, _columns, _insert

Held = dict[tuple[str, str], dict[str, Any]]


def evolve(connection: psycopg.Connection[Any], org_id: str, before: Held, after: Held) -> int:
    """Everything that differs, in one transaction; returns how many records that were."""
    changed = [key for key in {**before, **after} if before.get(key) != after.get(key)]
    with connection.transaction(), connection.cursor() as cursor:
        for kind, record_id in changed:
            end(cursor, TABLES[kind], org_id, record_id)
            if (kind, record_id) in after:
                _insert(cursor, TABLES[kind], {"org_id": org_id, "id": record_id, **_columns(kind, after[kind, record_id])})
    return len(changed)


def score(connection: psycopg.Connection[Any], org_id: str, scores: Mapping[str, int]) -> None:
    with connection.transaction(), connection.cursor() as cursor:
        for lead_id, points in scores.items():
            end(cursor, "lead_scores", org_id, lead_id)
            _insert(cursor, "lead_scores", {"org_id": org_id, "id": lead_id, "score": points, "reasons": "[]", "model_version": 1})


def end(cursor: psycopg.Cursor[Any], table: str, org_id: str, record_id: str) -> None:
    cursor.execute(
        "select attname from pg_attribute where attrelid = %s::regclass and attnum > 0 and not attisdropped and attgenerated = ''",
        [f"ingest.{table}"],
    )
    columns = sql.SQL(", ").join(sql.Identifier(name) for (name,) in cursor.fetchall() if name not in ("ended", "replaced_at"))
    statement = """with gone as (delete from ingest.{} where org_id = %s and id = %s returning {})
        insert into ingest.{} ({}, ended) select {}, pg_current_xact_id() from gone"""
    parts = (sql.Identifier(f"{table}_current"), columns, sql.Identifier(f"{table}_ended"), columns, columns)
    cursor.execute(sql.SQL(statement).format(*parts), [org_id, record_id])


def lines(held: Held, kinds: Sequence[str] = ()) -> list[str]:
    """Records of the state, to be loaded."""
    return [json.dumps({"type": kind, "id": id_, "data": data}) for (kind, id_), data in held.items() if not kinds or kind in kinds]
