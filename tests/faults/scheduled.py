"""A round's schedule: windows that nobody has run when it begins, time that passes at once, and what must have come of it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import httpx
import psycopg

# A schedule in the middle of its life: where the next window lies, and where those lie that were decided. Those go far away first, as no two of a schedule may
# end in one moment, not even on their way.
_EARLIER = """UPDATE exports.schedules SET next_from = next_from - make_interval(hours => %(hours)s), next_to = next_to - make_interval(hours => %(hours)s),
    due_at = due_at - make_interval(hours => %(hours)s) WHERE id = %(id)s"""
_RUNS_EARLIER = """UPDATE exports.schedule_runs SET window_from = window_from - make_interval(hours => %(hours)s), window_to = window_to - make_interval(hours => %(hours)s)
    WHERE schedule_id = %(id)s"""
_NEWEST = "SELECT id FROM exports.schedules WHERE name = %s ORDER BY created_at DESC LIMIT 1 FOR UPDATE"
_AHEAD = "SELECT (extract(epoch FROM next_to - date_trunc('hour', now())) / 3600)::integer FROM exports.schedules WHERE id = %s"
FAR = 100_000
RUNS = """SELECT r.window_from, r.window_to, r.status, r.export_id, e.status AS export_status, e.rows_planned = e.rows_written AS whole FROM exports.schedule_runs r
    LEFT JOIN exports.exports e ON e.id = r.export_id WHERE r.schedule_id = %s AND r.kind = 'scheduled' ORDER BY r.window_to"""
STATE = "SELECT next_from, next_to, due_at <= now() AS due, open_run FROM exports.schedules WHERE id = %s"
EXPORTS = "SELECT count(*) AS exports FROM exports.exports WHERE schedule_id = %s"


def name_of(seed: int) -> str:
    return f"Every hour of {seed}"


def begin(client: httpx.Client, database_url: str, seed: int, windows: int) -> str:
    """A schedule of which so many windows have ended already; its id."""
    body = {"name": name_of(seed), "export": {"dataset": "messages", "format": "csv"}, "frequency": "hourly", "timezone": "UTC"}
    id_ = str(client.post("/v1/schedules", json=body).raise_for_status().json()["id"])
    with psycopg.connect(database_url, autocommit=True) as connection:
        row = connection.execute(_AHEAD, [id_]).fetchone()
    assert row is not None
    pass_hours(database_url, seed, row[0] + windows - 1)
    return id_


def pass_hours(database_url: str, seed: int, hours: int) -> None:
    with psycopg.connect(database_url) as connection:
        row = connection.execute(_NEWEST, [name_of(seed)]).fetchone()
        assert row is not None
        connection.execute(_EARLIER, {"hours": hours, "id": row[0]})
        for step in (FAR, hours - FAR):
            connection.execute(_RUNS_EARLIER, {"hours": step, "id": row[0]})


@dataclass(frozen=True)
class ScheduleFacts:
    """Runs in the order of their windows. `exports`: all that were ever accepted for it."""

    missed: int
    next_from: datetime
    runs: Sequence[Mapping[str, Any]]
    exports: int


def judge_schedule(facts: ScheduleFacts) -> Iterator[str]:
    """Each window ran once, windows touch, and the last one ends where the next begins."""
    if len(facts.runs) < facts.missed:
        yield f"{len(facts.runs)} windows ran, {facts.missed} had ended"
    for run in facts.runs:
        if run["status"] != "completed" or run["export_status"] != "completed" or not run["whole"]:
            yield f"the run of {run['window_from']} is {run['status']}, its export {run['export_status']}"
    ends = [run["window_to"] for run in facts.runs]
    begins = [*(run["window_from"] for run in facts.runs[1:]), facts.next_from]
    for end, begin in zip(ends, begins, strict=True):
        if end != begin:
            yield f"a window ends at {end}, and the next one begins at {begin}"
    if facts.exports != len(facts.runs) or len({run["export_id"] for run in facts.runs}) != len(facts.runs):
        yield f"{facts.exports} exports were accepted for {len(facts.runs)} runs"
