"""Watches how far the round is: what has been sent, and the state that each export has reached. Moments are waited for here."""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg.rows import dict_row

from tests.faults.plan import SENDS_SHOWN, STAGES, Moment

POLL_SECONDS = 0.02
RUNNING = ("accepted", "planning", "formatting", "assembling", "publishing")
_LOOK = """
SELECT e.request_id, e.id, e.status, e.planned, e.chunks_planned, e.chunks_done, p.published_at IS NOT NULL AS published,
    EXISTS (SELECT FROM exports.chunks c WHERE c.export_id = e.id AND c.state <> 'planned') AS released
FROM exports.exports e LEFT JOIN delivery.publications p ON p.export_id = e.id WHERE e.request_id = ANY(%s)"""


_LOOK_AT_RUNS = "SELECT DISTINCT status FROM exports.schedule_runs WHERE schedule_id = %s"


def stages_of(row: Mapping[str, Any]) -> set[str]:
    """The stages that an export has reached; one that has ended has reached all."""
    if row["status"] not in RUNNING:
        return set(STAGES)
    reached = {
        "accepted": True, "planned": row["chunks_planned"] > 0 or row["planned"], "released": row["released"], "part": row["chunks_done"] > 0,
        "assembling": row["status"] in ("assembling", "publishing"), "published": row["published"], "ended": False,
    }  # fmt: skip
    return {stage for stage, is_reached in reached.items() if is_reached}


@dataclass
class Watch:
    """Looks every few milliseconds, as long as the database answers. `keys`: request ids by the number of the export."""

    database_url: str
    keys: dict[int, str]
    sends: int
    exports: int  # that are to be accepted
    sent: int = 0
    accepted_before: int | None = None  # the first fault
    loading: bool = True
    ids: dict[int, str] = field(default_factory=dict)
    reached: dict[int, set[str]] = field(default_factory=dict)
    schedule_id: str = ""
    runs_reached: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._change = threading.Condition()
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._ending.set()
        self._thread.join()

    def count_sent(self) -> None:
        with self._change:
            self.sent += 1
            self._change.notify_all()

    def first_fault_begins(self) -> None:
        with self._change:
            self.accepted_before = len(self.ids)
            self._change.notify_all()

    def load_is_over(self) -> None:
        with self._change:
            self.loading = False
            self._change.notify_all()

    def wait(self, moment: Moment, seconds: float) -> bool:
        """True once the moment has come; False where it hasn't within `seconds`."""
        return self.wait_for(lambda: self._has_come(moment), seconds)

    def wait_for(self, condition: Callable[[], bool], seconds: float) -> bool:
        with self._change:
            return self._change.wait_for(condition, seconds)

    def past(self, twelfths: int) -> bool:
        return self.sent * SENDS_SHOWN >= twelfths * self.sends or not self.loading

    def _has_come(self, moment: Moment) -> bool:
        if moment.during:
            before = self.accepted_before
            return before is not None and (len(self.ids) > before or len(self.ids) >= self.exports)
        if moment.export is None and moment.stage:
            return moment.stage in self.runs_reached
        if moment.export is None:
            return self.past(moment.twelfths)
        return moment.stage in self.reached.get(moment.export, ())

    def _run(self) -> None:
        while not self._ending.is_set():
            try:
                with psycopg.connect(self.database_url, autocommit=True, connect_timeout=2, row_factory=dict_row) as connection:
                    while not self._ending.wait(POLL_SECONDS):
                        self._look(connection.execute(_LOOK, [list(self.keys.values())]).fetchall())
                        if self.schedule_id:
                            self._look_at_runs(connection.execute(_LOOK_AT_RUNS, [self.schedule_id]).fetchall())
            except psycopg.OperationalError:
                time.sleep(POLL_SECONDS)

    def _look(self, rows: list[dict[str, Any]]) -> None:
        numbers = {key: number for number, key in self.keys.items()}
        with self._change:
            for row in rows:
                number = numbers[row["request_id"]]
                self.ids[number] = row["id"]
                self.reached.setdefault(number, set()).update(stages_of(row))
            self._change.notify_all()

    def _look_at_runs(self, rows: list[dict[str, Any]]) -> None:
        with self._change:
            if rows:
                self.runs_reached.add("decided")
            if {row["status"] for row in rows} - {"waiting"}:
                self.runs_reached.add("started")
            self._change.notify_all()
