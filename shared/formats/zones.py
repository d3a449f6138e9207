"""Local time in DuckDB, from Python's timezone data.

DuckDB brings timezone data of its own, which differs (Europe/Chisinau since 2022, many zones before 1970), and PostgreSQL has a third. The one that
counts is Python's zoneinfo: it resolves from and to, so files must agree with it. Its offsets become DuckDB macros: a small decision tree for the
years of a chunk, a list for all others. Rules repeat every 400 years after 2100, and the list folds what lies beyond 2500.
"""

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import NamedTuple

from shared.datasets.instants import zone

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST, _LAST = datetime(1800, 1, 1, tzinfo=UTC), datetime(2500, 1, 1, tzinfo=UTC)
_FOLD_FROM = datetime(2100, 1, 1, tzinfo=UTC)
_CYCLE_US = 146_097 * 86_400_000_000
# No zone has changed its offset and back within fewer days (a test holds it for all zones of today).
_STEP = timedelta(days=5)
_BEFORE_ALL = -(2**62)


class Period(NamedTuple):
    """From `start` (microseconds since 1970, UTC) on, local time is UTC plus `offset` (microseconds)."""

    start: int
    offset: int


def _us(instant: datetime) -> int:
    return (instant - _EPOCH) // timedelta(microseconds=1)


@lru_cache(maxsize=64)
def periods(name: str) -> tuple[Period, ...]:
    """Every period of constant offset of the timezone until 2500, in order; raises ValueError for an unknown timezone."""
    tz = zone(name)

    def offset(instant: datetime) -> timedelta:
        return instant.astimezone(tz).utcoffset() or timedelta(0)

    before, current = _FIRST, offset(_FIRST)
    found = [Period(_BEFORE_ALL, current // timedelta(microseconds=1))]
    while before < _LAST:
        after = before + _STEP
        if (new := offset(after)) != current:
            low, high = before, after
            while high - low > timedelta(seconds=1):
                middle = (low + (high - low) / 2).replace(microsecond=0)
                middle = middle if middle > low else low + timedelta(seconds=1)
                low, high = (middle, high) if offset(middle) == current else (low, middle)
            found.append(Period(_us(high), offset(high) // timedelta(microseconds=1)))
            # Another change may hide in what is left of the step.
            after, new = (high, offset(high)) if offset(high) != new else (after, new)
        before, current = after, new
    return tuple(found)


def _tree(table: list[Period], us: str) -> str:
    """A binary decision tree over the periods: an offset in microseconds."""
    if len(table) == 1:
        return str(table[0].offset)
    half = len(table) // 2
    return f"case when {us} < {table[half].start} then {_tree(table[:half], us)} else {_tree(table[half:], us)} end"


def statements(name: str, years: tuple[int, int]) -> list[str]:
    """DuckDB statements that make `local_text`, `local_clock` and `local_date` those of the timezone.

    `years` (first, last) are those that most times are in: they go through the tree, all others through the list. Both say the same, so
    bytes don't depend on `years`; the tree is planned anew for every column of every chunk, so it should be small.
    """
    table = periods(name)
    near, far = (_us(datetime(min(max(y, 1800), 2499), 1, 1, tzinfo=UTC)) for y in (years[0], years[1] + 1))
    inside = [p for p in table if near < p.start < far]
    first = [p for p in table if p.start <= near][-1]
    fold = _us(_FOLD_FROM)
    folded = f"(us - case when us >= {fold} then (us - {fold}) // {_CYCLE_US} * {_CYCLE_US} else 0 end)"
    return [
        f"set variable zone_starts = {[p.start for p in table]}::bigint[]",
        f"set variable zone_offsets = {[p.offset for p in table]}::bigint[]",
        f"create or replace temp macro near_offset(us) as {_tree([first, *inside], 'us')}",
        f"""create or replace temp macro far_offset(us) as getvariable('zone_offsets')[
            len(list_filter(getvariable('zone_starts'), lambda start: start <= {folded}))]""",
        f"create or replace temp macro is_near(us) as us >= {near} and us < {far}",
        """create or replace temp macro local_time(x) as make_timestamp(epoch_us(x) + case
            when is_near(epoch_us(x)) then near_offset(epoch_us(x)) when x is not null then far_offset(epoch_us(x)) end)""",
        # The cast prints microseconds where there are any, so one of them makes the width fixed; it is cut off again. Times of records have none of their
        # own (records.yaml), but for the calendar's first; what is worked out must be cut before it comes here.
        """create or replace temp macro local_text(x) as case
            when is_near(epoch_us(x)) then left(make_timestamp(epoch_us(x) + near_offset(epoch_us(x)) + 1)::varchar, 23)
            when x is not null then strftime(make_timestamp(epoch_us(x) + far_offset(epoch_us(x))), '%Y-%m-%d %H:%M:%S.%g') end""",
        "create or replace temp macro local_clock(x) as strftime(local_time(x), '%I:%M %p')",
        "create or replace temp macro local_date(x) as strftime(local_time(x), '%Y-%m-%d')",
    ]
