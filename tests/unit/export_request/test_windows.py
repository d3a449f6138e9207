"""The windows of schedules touch, in every timezone, through ten years of changes of the clock; each boundary is where the rule says."""

import bisect
import itertools
from datetime import UTC, datetime, timedelta
from functools import cache
from zoneinfo import available_timezones

import pytest
from cronsim import CronSim
from hypothesis import given
from hypothesis import strategies as st

from services.export_request.core.naming import folder, stem
from services.export_request.core.windows import (
    Timing,
    Window,
    cron_problem,
    first_window,
    following,
    latest,
    newest_window,
    window_from,
    windows,
)
from shared.datasets import registry as datasets
from shared.datasets.instants import zone

START, END = datetime(2021, 1, 1, tzinfo=UTC), datetime(2031, 1, 1, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
BRUSSELS = "Europe/Brussels"


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def local(at: datetime, timezone: str) -> datetime:
    return at.astimezone(zone(timezone)).replace(tzinfo=None)


def offset(at: datetime, timezone: str) -> timedelta:
    return at.astimezone(zone(timezone)).utcoffset() or timedelta()


@cache
def changes(timezone: str) -> tuple[datetime, ...]:
    """When the offset changes, in the ten years; found by looking every day, then by halving."""
    found, days = [], [START + n * DAY for n in range((END - START).days + 1)]
    offsets = [offset(day, timezone) for day in days]
    for low, high, before, after in zip(days, days[1:], offsets, offsets[1:], strict=False):
        if before != after:
            minutes = range(int((high - low) / MINUTE) + 1)
            place = bisect.bisect_left(minutes, True, key=lambda n, low=low, before=before: offset(low + n * MINUTE, timezone) != before)
            found.append(low + place * MINUTE)
    return tuple(found)


@cache
def clocks() -> tuple[str, ...]:
    """One timezone of each kind of clock in tzdata: names that show the same time throughout the ten years are one."""
    kinds: dict[tuple[object, ...], str] = {}
    for name in sorted(available_timezones() - {"localtime", "posixrules", "Factory"}):
        kinds.setdefault((offset(START, name), *((at, offset(at, name)) for at in changes(name))), name)
    return tuple(kinds.values())


def every_minute(timezone: str, start: datetime, end: datetime) -> list[datetime]:
    """Boundaries of hourly windows by looking at the local clock each minute: it shows a full hour, or has just jumped over one."""
    found, at, before = [], start, local(start - MINUTE, timezone)
    while at < end:
        now = local(at, timezone)
        jumped_over = now - before > MINUTE and now.replace(minute=0) > before
        if now.minute == 0 or jumped_over:
            found.append(at)
        at, before = at + MINUTE, now
    return found


def chain(timing: Timing, start: datetime, end: datetime) -> list[datetime]:
    found = [latest(timing, start)]
    while found[-1] < end:
        found.append(following(timing, found[-1]))
    return found


def test_hourly_windows_begin_with_full_hours_around_every_change_of_every_clock() -> None:
    looked_at = 0
    for timezone in clocks():
        timing = Timing("hourly", None, timezone)
        for change in {*changes(timezone), START + DAY}:
            start, end = change - 3 * HOUR, change + 4 * HOUR
            expected = every_minute(timezone, start, end)
            assert [at for at in chain(timing, start - HOUR, end) if start <= at < end] == expected, (timezone, change)
            assert latest(timing, end) == [*expected, *every_minute(timezone, end, end + MINUTE)][-1], (timezone, change)
            looked_at += 1
    assert looked_at > 500


def not_whole_days(timezone: str, boundaries: list[datetime], step: timedelta) -> list[datetime]:
    """Boundaries that aren't the first instant that shows its date, or whose next one doesn't come a step later on the calendar."""

    def is_whole(begins: datetime, ends: datetime) -> bool:
        day = local(begins, timezone).date()
        before, after = local(begins - MINUTE, timezone).date(), local(ends, timezone).date()
        return (before, after) == (day - DAY, day + step) and abs(ends - begins - step) <= 3 * HOUR

    return [begins for begins, ends in itertools.pairwise(boundaries) if not is_whole(begins, ends)]


def test_days_begin_at_the_first_instant_of_their_date_around_every_change_of_every_clock() -> None:
    for timezone in clocks():
        for change in {*changes(timezone), START + DAY}:
            days = chain(Timing("daily", None, timezone), change - 2 * DAY, change + 2 * DAY)
            assert not_whole_days(timezone, days, DAY) == [], timezone


def test_weeks_begin_with_mondays_in_every_timezone_for_ten_years() -> None:
    for timezone in clocks():
        weeks = chain(Timing("weekly", None, timezone), START, END)
        assert {local(at, timezone).weekday() for at in weeks} == {0} and len(weeks) > 520
        assert not_whole_days(timezone, weeks, 7 * DAY) == [], timezone


def test_cron_fires_at_its_local_times_around_every_change_of_every_clock() -> None:
    """Each local time that the expression names fires once: the first time that the clock shows it, or as soon as it was jumped over."""
    for timezone in clocks():
        for change in changes(timezone)[:4]:
            start, end = change - 4 * HOUR, change + 5 * HOUR
            shown: dict[datetime, datetime] = {}
            for n in range(int((end - start) / MINUTE) + 1):
                shown.setdefault(local(start + n * MINUTE, timezone), start + n * MINUTE)
            times = sorted(shown)
            for expression in ("*/20 * * * *", "30 1,2,3 * * *", "0 0 * * *", "59 23 L * *"):
                named = list(itertools.takewhile(lambda each, last=times[-1]: each <= last, CronSim(expression, times[0] - MINUTE)))
                expected = sorted({shown[times[bisect.bisect_left(times, each)]] for each in named})
                timing = Timing(None, expression, timezone)
                assert [at for at in chain(timing, start, end) if start <= at <= end] == expected, (timezone, change, expression)
                assert not expected or latest(timing, end) == expected[-1]


@given(
    st.sampled_from([*[(f, None) for f in ("hourly", "daily", "weekly")], *[(None, c) for c in ("*/7 * * * *", "30 2 * * *", "0 12 1 * *", "0 0 * * MON")]]),
    st.integers(0, int((END - START).total_seconds()) * 1000), st.data(),
)  # fmt: skip
def test_windows_touch_and_contain_every_instant_once(kind: tuple[str | None, str | None], milliseconds: int, data: st.DataObject) -> None:
    timing = Timing(*kind, data.draw(st.sampled_from(clocks())))
    at = START + timedelta(milliseconds=milliseconds)
    begins, ends = latest(timing, at), following(timing, at)
    assert begins <= at < ends
    assert following(timing, begins) == ends == following(timing, ends - timedelta(milliseconds=1))
    assert latest(timing, ends) == ends
    newest, first = newest_window(timing, at), first_window(timing, at)
    assert newest.to == begins and window_from(timing, newest.from_) == newest
    assert first.from_ == (begins if begins == at else ends) and first.to == following(timing, first.from_)
    listed = list(itertools.islice(windows(timing, at, at + 40 * DAY), 20))
    assert all(a.to == b.from_ for a, b in itertools.pairwise(listed))


def test_the_hour_that_comes_twice_and_the_one_that_does_not_exist() -> None:
    hourly = Timing("hourly", None, BRUSSELS)
    assert [w.from_ for w in windows(hourly, utc("2026-10-24T23:00"), utc("2026-10-25T03:00"))] == [
        utc(f"2026-10-{t}") for t in ("24T23:00", "25T00:00", "25T01:00", "25T02:00")
    ]
    assert [w.from_ for w in windows(hourly, utc("2026-03-29T00:00"), utc("2026-03-29T03:00"))] == [
        utc(f"2026-03-29T0{n}:00") for n in range(3)
    ]
    days = list(windows(Timing("daily", None, BRUSSELS), utc("2026-03-27T23:00"), utc("2026-03-30T22:00")))
    assert [w.to - w.from_ for w in days] == [DAY, 23 * HOUR, DAY]
    at_half_past_two = Timing(None, "30 2 * * *", BRUSSELS)
    assert following(at_half_past_two, utc("2026-03-28T12:00")) == utc("2026-03-29T01:00"), "skipped: the first instant after"
    assert list(windows(at_half_past_two, utc("2026-10-24T00:30"), utc("2026-10-26T01:30"))) == [
        Window(utc("2026-10-24T00:30"), utc("2026-10-25T00:30")), Window(utc("2026-10-25T00:30"), utc("2026-10-26T01:30")),
    ]  # fmt: skip


def test_half_an_hour_of_daylight_saving_and_midnights_that_do_not_exist() -> None:
    lord_howe = Timing("hourly", None, "Australia/Lord_Howe")
    lengths = [w.to - w.from_ for w in windows(lord_howe, utc("2026-04-04T13:00"), utc("2026-04-04T17:30"))]
    assert lengths == [HOUR, 90 * MINUTE, HOUR, HOUR]
    assert following(Timing("daily", None, "Africa/Cairo"), utc("2026-04-23T12:00")) == utc("2026-04-23T22:00")
    assert local(utc("2026-04-23T22:00"), "Africa/Cairo") == datetime(2026, 4, 24, 1), "00:00 was skipped"


def test_a_window_that_begins_between_boundaries_reaches_to_the_next() -> None:
    weekly = Timing("weekly", None, "UTC")
    assert window_from(weekly, utc("2026-03-04T15:00")) == Window(utc("2026-03-04T15:00"), utc("2026-03-09T00:00"))


@pytest.mark.parametrize(
    ("expression", "why"),
    [
        ("15 6 * * 1-5", None), ("0 0 L * *", None), ("*/5 * * * *", None), ("0 0 * * MON#1", None),
        ("@daily", "five fields"), ("* * * * * *", "five fields"), ("", "five fields"), ("0 " * 60, "five fields"),
        ("60 * * * *", "bad minute"), ("*/0 * * * *", "bad minute"), ("0 24 * * *", "bad hour"), ("0 0 31 2 *", "bad day"),
        ("0 0 * * */x", "bad day-of-week"), ("* * */20 * 1L", "never fires"), ("٣ * * * *", "bad minute"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_cron_expression(expression: str, why: str | None) -> None:
    problem = cron_problem(expression, BRUSSELS, utc("2026-03-01"))
    assert (problem is None) if why is None else (problem is not None and why in problem)


def test_files_are_called_as_the_contract_says() -> None:
    window = Window(utc("2026-03-28T23:00"), utc("2026-03-29T22:00"))
    export_id = "exp_01KBX9ZJ5V8Q3M2N7R4T6W0Y1A"  # pragma: allowlist secret
    named = stem("org_demo", datasets.get("messages"), window, BRUSSELS, export_id)
    assert named == "org_demo_message_29032026000000_30032026000000_019afa9f-c8bb-45c7-4154-f8268dc0782a"  # pragma: allowlist secret
    snapshot = stem("org_demo", datasets.get("open-conversations"), window, "UTC", export_id)
    assert snapshot.rpartition("_")[0] == "org_demo_open-conversation_29032026220000"
    assert folder(datasets.get("leads")) == "leads" and folder(datasets.get("teams")) == "team"
