"""analytics: a row a day, week or month of the export's timezone."""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Generic, TypeVar

from tests.oracle.files import Row
from tests.oracle.times import Range, local, midnight
from tests.oracle.values import Bare, decimals, half_up
from tests.oracle.view import View
from tests.oracle.words import is_inbound, sender_kind

Thing = TypeVar("Thing")


class Timeline(Generic[Thing]):
    """Things by their time, to take those of a period."""

    def __init__(self, things: Iterable[Thing], when: Callable[[Thing], int]) -> None:
        self._things = sorted(things, key=when)
        self._times = [when(thing) for thing in self._things]

    def within(self, span: Range) -> list[Thing]:
        start, end = span
        assert start is not None
        assert end is not None
        return self._things[bisect_left(self._times, start) : bisect_left(self._times, end)]


def first_day(day: date, granularity: str) -> date:
    """Of the period that holds `day`; weeks begin on Monday."""
    if granularity == "month":
        return day.replace(day=1)
    return day - timedelta(days=day.weekday()) if granularity == "week" else day


def next_first_day(day: date, granularity: str) -> date:
    if granularity == "month":
        return (day + timedelta(days=31)).replace(day=1)
    return day + timedelta(days=7 if granularity == "week" else 1)


def periods(view: View) -> Iterator[tuple[date, Range]]:
    """Every one that the range touches, clipped to the range."""
    start, end = view.range
    assert start is not None
    assert end is not None
    granularity = view.request.get("granularity") or "day"
    day = first_day(local(start, view.timezone).date(), granularity)
    while (opens := midnight(day, view.timezone)) < end:
        following = next_first_day(day, granularity)
        yield day, (max(opens, start), min(midnight(following, view.timezone), end))
        day = following


def ai_response_times(view: View) -> list[tuple[int, int]]:
    """When and how long (ms): ai messages whose predecessor in the conversation is inbound."""
    return [
        (message["created_at"], message["created_at"] - before["created_at"])
        for story in view.every_story
        for before, message in zip(story.messages, story.messages[1:], strict=False)
        if sender_kind(message) == "ai" and is_inbound(before)
    ]


def median(values: list[int]) -> int:
    """The mean of the middle two, half up; 0 of nothing."""
    ordered, middle = sorted(values), len(values) // 2
    if not ordered:
        return 0
    return ordered[middle] if len(ordered) % 2 else half_up(Fraction(ordered[middle - 1] + ordered[middle], 2))


def ratio(part: int | Fraction, whole: int) -> Fraction:
    return Fraction(part) / whole if whole else Fraction(0)


def analytics(view: View) -> Iterator[Row]:
    every_lead = Timeline(view.state.of["lead"].values(), lambda lead: lead["created_at"])
    every_conversation = Timeline(view.state.of["conversation"].values(), lambda conversation: conversation["created_at"])
    every_visit = Timeline(view.state.of["visit"].values(), lambda visit: visit["at"])
    every_response = Timeline(ai_response_times(view), lambda response: response[0])
    threshold = view.settings.get("qualification_threshold")
    threshold = 70 if threshold is None else threshold
    for day, span in periods(view):
        leads, begun = every_lead.within(span), every_conversation.within(span)
        visitors = {visit["visitor_id"] for visit in every_visit.within(span)}
        given = [Fraction(Decimal(repr(c["engagement_score"]))) for c in begun if c["engagement_score"] is not None]
        converted = sum(lead["status"] == "converted" for lead in leads)
        yield {
            "date": Bare(day.isoformat()),
            "total_leads": len(leads),
            "qualified_leads": sum(view.scores.get(lead["id"], 0) >= threshold for lead in leads),
            "conversations": len(begun),
            "conversion_rate": decimals(ratio(100 * converted, len(leads)), 2),
            "avg_response_time_ms": median([took for _, took in every_response.within(span)]),
            "engagement_score": decimals(ratio(sum(given, Fraction(0)), len(given)), 1),
            "widget_engagement_rate": decimals(ratio(len(begun), len(visitors)), 4),
        }


DATASETS = {"analytics": analytics}
