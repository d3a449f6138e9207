"""The windows of a schedule: where each begins and ends, in any timezone, whatever the clocks do there.

A window is what lies between two *boundaries* that follow each other, so windows touch, and never overlap or leave a gap. Boundaries are instants (UTC): full
hours, midnights, Mondays' midnights, or the firings of a cron expression, all in local time. A local time that is skipped is the first instant after; one that
comes twice counts once, the first time, but for full hours, which count both times (datasets.yaml, "windows").
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from shared.datasets.instants import instant_of, zone

FREQUENCIES = ("hourly", "daily", "weekly")
CRON_MAX = 100  # characters
_HOUR, _DAY, _SECOND = timedelta(hours=1), timedelta(days=1), timedelta(seconds=1)
_EPOCH = datetime(1970, 1, 1)
_FOLD_MAX = timedelta(hours=4)  # no clock is turned back by more


@dataclass(frozen=True)
class Timing:
    """When a schedule's windows end: one of FREQUENCIES, or a cron expression of five fields, in local time of an IANA timezone."""

    frequency: str | None
    cron: str | None
    timezone: str


@dataclass(frozen=True)
class Window:
    """[from_, to), both instants in UTC."""

    from_: datetime
    to: datetime


def cron_problem(expression: str, timezone: str, now: datetime) -> str | None:
    """What is wrong with a cron expression, for people; None where it can be used."""
    if len(expression) > CRON_MAX or len(expression.split()) != 5:
        return f"must be a cron expression of five fields (minute, hour, day of month, month, day of week) in {CRON_MAX} characters at most"
    try:
        next(CronSim(expression, now.astimezone(zone(timezone)).replace(tzinfo=None)))
    except CronSimError as error:
        return f"is not a cron expression: {str(error).lower()}"
    except (StopIteration, OverflowError):
        return "never fires"
    return None


def following(timing: Timing, at: datetime) -> datetime:
    """The first boundary after `at`."""
    tz = zone(timing.timezone)
    if timing.cron is not None:
        return next(instant for instant in _firings(timing.cron, tz, at) if instant > at)
    if timing.frequency == "hourly":
        return _next_hour(at, tz)
    return min(midnight for midnight in _midnights(timing, tz, at) if midnight > at)


def latest(timing: Timing, at: datetime) -> datetime:
    """The last boundary at or before `at`."""
    tz = zone(timing.timezone)
    if timing.cron is not None:
        return next(instant for instant in _firings_back(timing.cron, tz, at) if instant <= at)
    if timing.frequency == "hourly":
        found = [at - _FOLD_MAX]
        while (boundary := _next_hour(found[-1], tz)) <= at:
            found.append(boundary)
        return found[-1]
    return max(midnight for midnight in _midnights(timing, tz, at) if midnight <= at)


def first_window(timing: Timing, at: datetime) -> Window:
    """The first window that begins at or after `at`."""
    begins = latest(timing, at)
    return window_from(timing, begins if begins == at else following(timing, at))


def window_from(timing: Timing, begins: datetime) -> Window:
    """The window that begins at `begins`. Where that is no boundary (the timing was changed), it lasts until the first one, so that nothing is left out."""
    return Window(begins, following(timing, begins))


def newest_window(timing: Timing, at: datetime) -> Window:
    """The newest window that has ended at `at`."""
    ends = latest(timing, at)
    return Window(latest(timing, ends - timedelta(microseconds=1)), ends)


def windows(timing: Timing, start: datetime, end: datetime) -> Iterator[Window]:
    """The windows that lie in [start, end) as a whole, oldest first."""
    window = first_window(timing, start)
    while window.to <= end:
        yield window
        window = window_from(timing, window.to)


def _midnights(timing: Timing, tz: ZoneInfo, at: datetime) -> list[datetime]:
    """Boundaries around `at`: one before and two after, at least."""
    today = at.astimezone(tz).date()
    step = 7 if timing.frequency == "weekly" else 1
    base = today - timedelta(days=today.weekday()) if step == 7 else today
    return [_midnight(base + timedelta(days=step * n), tz) for n in (-1, 0, 1, 2)]


def _midnight(day: date, tz: ZoneInfo) -> datetime:
    return instant_of(datetime.combine(day, time()), tz)


def _local(at: datetime, tz: ZoneInfo) -> datetime:
    return at.astimezone(tz).replace(tzinfo=None)


def _firings(expression: str, tz: ZoneInfo, at: datetime) -> Iterator[datetime]:
    """The firings from `at` on, and perhaps some before. An earlier local time is never a later instant, so none is missed."""
    for local in CronSim(expression, _local(at, tz)):
        yield instant_of(local, tz)


def _firings_back(expression: str, tz: ZoneInfo, at: datetime) -> Iterator[datetime]:
    """The firings back from `at`, and perhaps some after: where the clock was turned back, local times after that of `at` have been already."""
    local = max(_local(at, tz), _local(at - _FOLD_MAX, tz) + _FOLD_MAX)
    for each in CronSim(expression, local.replace(microsecond=0) + _SECOND, reverse=True):
        yield instant_of(each, tz)


def _next_hour(at: datetime, tz: ZoneInfo) -> datetime:
    """The first instant after `at` with a full hour on the local clock, or with one that the clock jumped over."""
    while True:
        offset = _offset(at, tz)
        candidate = _full_hour_after(_plain(at) + offset) - offset
        if _offset(candidate.replace(tzinfo=UTC), tz) == offset:
            return candidate.replace(tzinfo=UTC)
        change = _change(at, candidate.replace(tzinfo=UTC), tz)
        before, now = _plain(change) + offset, _plain(change) + _offset(change, tz)
        if now > before and _hour(now) >= _full_hour_after(before - timedelta(microseconds=1)):
            return change
        if now < before and now == _hour(now):
            return change
        at = change


def _plain(at: datetime) -> datetime:
    return at.replace(tzinfo=None)


def _offset(at: datetime, tz: ZoneInfo) -> timedelta:
    return at.astimezone(tz).utcoffset() or timedelta()


def _hour(local: datetime) -> datetime:
    """The full hour at or before."""
    return local - (local - _EPOCH) % _HOUR


def _full_hour_after(local: datetime) -> datetime:
    return _hour(local) + _HOUR


def _change(low: datetime, high: datetime, tz: ZoneInfo) -> datetime:
    """When the offset changes in (low, high], to the second."""
    before = _offset(low, tz)
    low = low.replace(microsecond=0)
    while high - low > _SECOND:
        middle = (low + (high - low) / 2).replace(microsecond=0)
        low, high = (middle, high) if _offset(middle, tz) == before else (low, middle)
    return high
