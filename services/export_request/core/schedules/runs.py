"""Runs: which window is next, when, and what follows from the end of its export."""

import hashlib
import itertools
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from services.export_request.core.limits import next_day
from services.export_request.core.windows import Timing, Window, first_window, following, latest, window_from, windows
from shared.datasets.plan import PlanSpec

SKIPPED_MAX = 10_000  # windows that are counted one by one
RUNS_BEFORE = "runs_before"  # why a run waits: it is measured from one that has not ended
# Failures that may pass by themselves, and how long to wait before each further attempt.
PASSING = frozenset({
    "stalled", "store_refused", "store_full", "part_missing", "part_corrupt", "plan_failed", "format_failed", "upgrade_unfinished", "erased",
})  # fmt: skip
RETRY_SECONDS = (60, 300, 1_200)


class RunStatus(StrEnum):
    waiting = "waiting"
    running = "running"
    completed = "completed"
    failed = "failed"
    cancelled = "cancelled"
    skipped = "skipped"


class Kind(StrEnum):
    scheduled = "scheduled"
    manual = "manual"
    backfill = "backfill"


@dataclass(frozen=True)
class Decision:
    """The window that runs now, the one that is next, and what was passed over: `skipped` stands for so many windows."""

    run: Window
    next: Window
    skipped: Window | None = None
    skipped_windows: int = 0


def decide(timing: Timing, window: Window, catch_up: str, instant: bool, now: datetime) -> Decision:
    """`window` has ended. Of several that have, the oldest runs (`all`), or the newest (`newest`, and wherever an export shows an `instant`)."""
    ends = latest(timing, now)
    if ends <= window.to or (catch_up == "all" and not instant):
        return Decision(window, window_from(timing, window.to))
    begins = latest(timing, ends - timedelta(microseconds=1))
    passed = 1 + sum(1 for _ in itertools.islice(windows(timing, window.to, begins), SKIPPED_MAX - 1))
    return Decision(Window(begins, ends), window_from(timing, ends), Window(window.from_, begins), passed)


def retimed(timing: Timing, next_from: datetime, decided: bool, now: datetime) -> Window:
    """The next window after the timing was changed: it begins where the last one ended, so that nothing is left out; before the first run, as if new."""
    return window_from(timing, next_from) if decided else first_window(timing, now)


def due_at(schedule_id: str, window: Window, spread_seconds: float) -> datetime:
    """When the window is run: when it has ended, and so much later as the schedule's id says, that many schedules don't run in one moment.

    Always the same for a schedule; at most `spread_seconds`, and half of the window. What the window holds doesn't depend on it.
    """
    part = int.from_bytes(hashlib.sha256(schedule_id.encode()).digest()[:8], "big") / 2**64
    return window.to + part * min(timedelta(seconds=spread_seconds), (window.to - window.from_) / 2)


def next_after(timing: Timing, window: Window) -> Window:
    return Window(window.to, following(timing, window.to))


# ---- what follows from an end


@dataclass(frozen=True)
class Again:
    """The window is run once more, at `at`; `counts`: as another attempt."""

    at: datetime
    counts: bool = True


def after_failure(code: str, attempts: int, now: datetime) -> Again | None:
    """Whether a run whose export failed is tried again; `attempts` so far. None: it has failed."""
    if code == "rows_limit":  # the organisation's day is full: the run waits for the next one
        return Again(next_day(now), counts=False)
    if code in PASSING and attempts <= len(RETRY_SECONDS):
        return Again(now + timedelta(seconds=RETRY_SECONDS[attempts - 1]))
    return None


def base_fits(before: PlanSpec, whole: PlanSpec) -> bool:
    """Whether a run may be measured from an export with the plan `before`, where one that is `whole` would be planned like this now.

    What a delta leaves out is the base's: a schedule or a setting that was changed must not go on with what it was before.
    """
    return before.model_copy(update={"since": None}) == whole
