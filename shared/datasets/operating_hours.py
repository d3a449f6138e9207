"""How much of a span lies inside operating hours, as PostgreSQL, at a cost that doesn't grow with the span.

Hours are spans of local time by weekday; a span opens at the first instant when the clocks show its beginning or, where they skip it, the first after
the gap, and closes likewise. So an instant is open where the latest time that the clocks have shown so far lies inside a span: local time, but while an
hour is shown for the second time that stands still at the hour's end. `open_ms` counts open milliseconds up to an instant, from a fixed one: by weeks,
plus what a change of the clocks added or left out. The timezone's rules are Python's, as for every other time of an export.
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from shared.formats.zones import periods

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DAY = 86_400_000
_WEEK = 7 * _DAY
# Local time is counted from a Monday long before any year that a timestamp of a record can have.
_ORIGIN = 4 * _DAY - 600_000 * _WEEK
# Rules repeat after 400 years, which are whole weeks; the periods of zones.py reach to 2500.
_CYCLE, _FOLD_FROM = 146_097 * _DAY, 4_102_444_800_000
_BEFORE_ALL = -(10**15)


@dataclass(frozen=True)
class Hours:
    """The week's spans (milliseconds from Monday), what is open before each, and the clock's periods with what is open before each."""

    opens: tuple[int, ...]
    closes: tuple[int, ...]
    before: tuple[int, ...]
    week: int
    starts: tuple[int, ...]
    offsets: tuple[int, ...]
    floors: tuple[int, ...]  # the latest local time shown before the period
    stands_until: tuple[int, ...]  # while it is shown again and open; else the start
    bases: tuple[int, ...]
    cycle: int


def hours_of(settings: Mapping[str, Any]) -> Hours:
    """`settings` as PATCH /v1/settings takes them: `{"timezone", "mon": [["09:00", "17:30"]], …}`."""
    spans = tuple(
        (day * _DAY + _clock(opens), day * _DAY + _clock(closes))
        for day, name in enumerate(DAYS)
        for opens, closes in settings.get(name) or ()
    )
    return _hours(settings["timezone"], spans)


def _clock(text: str) -> int:
    hours, minutes = text.split(":")
    return (int(hours) * 60 + int(minutes)) * 60_000


@lru_cache(maxsize=64)
def _hours(timezone: str, spans: tuple[tuple[int, int], ...]) -> Hours:
    opens, closes = (0, *(s[0] for s in spans)), (0, *(s[1] for s in spans))
    before = [0]
    for start, end in zip(opens[:-1], closes[:-1], strict=True):
        before.append(before[-1] + end - start)
    week = before[-1] + closes[-1] - opens[-1]
    plain = Hours(opens, closes, tuple(before), week, (), (), (), (), (), 0)
    first, *rest = periods(timezone)
    starts, offsets = [_BEFORE_ALL], [first.offset // 1000]
    floors, stands, bases = [_BEFORE_ALL + offsets[0]], [_BEFORE_ALL], [0]
    for period in rest:
        start, offset = period.start // 1000, period.offset // 1000
        shown = max(start + offsets[-1], floors[-1])
        so_far = _at(plain, offsets[-1], floors[-1], starts[-1], stands[-1], bases[-1], start)
        is_open = shown > start + offset and _is_open(plain, shown - 1)  # `shown` itself has not been shown yet
        starts.append(start)
        offsets.append(offset)
        floors.append(shown)
        stands.append(shown - offset if is_open else start)
        bases.append(so_far - _by_weeks(plain, max(start + offset, shown)))
    whole = Hours(opens, closes, tuple(before), week, tuple(starts), tuple(offsets), tuple(floors), tuple(stands), tuple(bases), 0)
    return replace(whole, cycle=_unfolded(whole, _FOLD_FROM + _CYCLE) - _unfolded(whole, _FOLD_FROM))


def open_ms(hours: Hours, at: int) -> int:
    """Open milliseconds up to `at` (milliseconds since 1970), counted from long ago: the difference of two says what lies between. As `instant` does in SQL."""
    cycles = (at - _FOLD_FROM) // _CYCLE if at >= _FOLD_FROM else 0
    return _unfolded(hours, at - cycles * _CYCLE) + cycles * hours.cycle


def _unfolded(hours: Hours, at: int) -> int:
    p = bisect_right(hours.starts, at) - 1
    return _at(hours, hours.offsets[p], hours.floors[p], hours.starts[p], hours.stands_until[p], hours.bases[p], at)


def _at(hours: Hours, offset: int, floor: int, start: int, stands_until: int, base: int, at: int) -> int:
    return base + min(at, stands_until) - start + _by_weeks(hours, max(at + offset, floor))


def _by_weeks(hours: Hours, local: int) -> int:
    weeks, rest = divmod(local - _ORIGIN, _WEEK)
    b = bisect_right(hours.opens, rest) - 1
    return weeks * hours.week + hours.before[b] + min(rest, hours.closes[b]) - hours.opens[b]


def _is_open(hours: Hours, local: int) -> bool:
    rest = (local - _ORIGIN) % _WEEK
    return rest < hours.closes[bisect_right(hours.opens, rest) - 1]


# ---- the same in PostgreSQL

_ARRAYS = ("opens", "closes", "before", "starts", "offsets", "floors", "stands_until", "bases")


def table(alias: str, hours: Hours) -> str:
    """A common table expression of one row, `alias`: what `instant` reads. Written once a query, however many instants are looked at."""
    columns = ", ".join(f"{_bigints(getattr(hours, name))} as {name}" for name in _ARRAYS)
    return f"{alias} as materialized (select {columns})"


def instant(alias: str, at: str, table_alias: str, hours: Hours) -> str:
    """A lateral join that gives `open_ms` and `is_open` of the timestamptz `at`, null where that is."""
    # Read by scalar subqueries, once a query: joined, the arrays would travel with every row.
    t = {name: f"(select {name} from {table_alias})" for name in _ARRAYS}
    # OFFSET 0 keeps each step from being worked out again wherever the next one names it.
    folded = f"""select ms - k * {_CYCLE} as ms, k from (
        select ms, case when ms >= {_FOLD_FROM} then (ms - {_FOLD_FROM}) / {_CYCLE} else 0 end as k
        from (select (extract(epoch from {at}) * 1000)::bigint as ms offset 0) at offset 0) cycle offset 0"""
    period = f"select ms, k, width_bucket(ms, {t['starts']}) as p from ({folded}) folded offset 0"
    local = f"""select {t["bases"]}[p] + least(ms, {t["stands_until"]}[p]) - {t["starts"]}[p] + k * {hours.cycle} as base,
        greatest(ms + {t["offsets"]}[p], {t["floors"]}[p]) - ({_ORIGIN}) as local,
        case when ms + {t["offsets"]}[p] < {t["floors"]}[p] then ms < {t["stands_until"]}[p] end as again from ({period}) period offset 0"""
    week = f"""select base + local / {_WEEK} * {hours.week} as base, local % {_WEEK} as rest, again,
        width_bucket(local % {_WEEK}, {t["opens"]}) as b from ({local}) local offset 0"""
    return f"""cross join lateral (
        select base + {t["before"]}[b] + least(rest, {t["closes"]}[b]) - {t["opens"]}[b] as open_ms, coalesce(again, rest < {t["closes"]}[b]) as is_open
        from ({week}) week) {alias}"""


def _bigints(values: Sequence[int]) -> str:
    return f"'{{{','.join(map(str, values))}}}'::bigint[]"
