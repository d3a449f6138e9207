"""Settings' operating hours: which part of a span lies inside them, and whether an instant does."""

from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from typing import Any

from tests.oracle.times import first_at, local

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


class Hours:
    """None: always open. A span is half-open; a day's `24:00` is the next midnight."""

    def __init__(self, settings: dict[str, Any] | None) -> None:
        self._week = settings
        self._timezone = settings["timezone"] if settings else "UTC"
        self._days: dict[date, list[tuple[int, int]]] = {}

    def between(self, start: int, end: int) -> int:
        """Milliseconds of [start, end) inside the hours."""
        if self._week is None:
            return end - start
        return sum(max(0, min(end, closes) - max(start, opens)) for opens, closes in self._open(start, end))

    def cover(self, at: int) -> bool:
        return self._week is None or any(opens <= at < closes for opens, closes in self._open(at, at))

    def _open(self, start: int, end: int) -> Iterator[tuple[int, int]]:
        day, last = local(start, self._timezone).date() - timedelta(days=1), local(end, self._timezone).date()
        while day <= last:
            yield from self._of(day)
            day += timedelta(days=1)

    def _of(self, day: date) -> list[tuple[int, int]]:
        if day not in self._days:
            assert self._week
            pairs = self._week.get(DAYS[day.weekday()]) or []
            self._days[day] = [(self._at(day, opens), self._at(day, closes)) for opens, closes in pairs]
        return self._days[day]

    def _at(self, day: date, clock: str) -> int:
        if clock == "24:00":
            return first_at(datetime.combine(day + timedelta(days=1), time()), self._timezone)
        return first_at(datetime.combine(day, time.fromisoformat(clock)), self._timezone)
