"""Backfills: the windows of a range in the past, run one at a time."""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from services.export_request.core.schedules.bodies import measured, shows_an_instant
from services.export_request.core.windows import Timing, Window, windows
from shared.clock import instant
from shared.datasets.instants import resolve_instant
from shared.errors import Detail, invalid_request, unprocessable

BACKFILL_WINDOWS_MAX = 1_500
BACKFILLS_AT_ONCE = 5  # of a schedule
# Of a backfill's windows: what comes before one is looked for, and the calendar begins with the year 1.
EARLIEST = datetime(1000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Backfill:
    """A range into whose windows a schedule is run; `again`: also those that have run."""

    start: datetime
    end: datetime
    again: bool
    windows: tuple[Window, ...]


def backfill(body: Mapping[str, Any], dataset: str, export: Mapping[str, Any], timing: Timing, decided_to: datetime) -> Backfill:
    """Raises ApiError: 400 that names the fields, 422 where the range holds no window that has ended, or too many. `decided_to`: from there on windows run by themselves."""
    wrong = [Detail(name[:80], "unknown field") for name in body if name not in ("from", "to", "again")]
    start, end = _instant(body, "from", timing.timezone, wrong), _instant(body, "to", timing.timezone, wrong)
    again = body.get("again", False)
    if not isinstance(again, bool):
        wrong.append(Detail("again", "must be true or false"))
    if wrong or start is None or end is None:
        raise invalid_request(*wrong)
    if shows_an_instant(dataset, export):
        what = "a delta" if measured(export) else f"'{dataset}'"
        raise unprocessable(Detail("", f"{what} shows the instant at which it is taken: an earlier one can't be made up for"))
    if end <= start:
        raise unprocessable(Detail("to", "must be after from"))
    within = windows(timing, max(start, EARLIEST), min(end, decided_to)) if start < decided_to else iter(())
    found = tuple(itertools.islice(within, BACKFILL_WINDOWS_MAX + 1))
    if not found:
        raise unprocessable(
            Detail("to", f"there is no whole window in this range before {instant(decided_to)}; later ones run by themselves")
        )
    if len(found) > BACKFILL_WINDOWS_MAX:
        raise unprocessable(Detail("to", f"the range has more than {BACKFILL_WINDOWS_MAX} windows: backfill it in pieces"))
    return Backfill(start, end, again, found)


def _instant(body: Mapping[str, Any], field: str, timezone: str, wrong: list[Detail]) -> datetime | None:
    value = body.get(field)
    if not isinstance(value, str):
        wrong.append(Detail(field, "is required: a date or a time" if field not in body else "must be text: a date or a time"))
        return None
    try:
        return resolve_instant(value, timezone)
    except ValueError as error:
        wrong.append(Detail(field, str(error)))
        return None
