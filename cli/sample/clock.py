"""Times of the sample: when people write, when agents work, and how an instant is spelled. Milliseconds since 1970 throughout."""

from bisect import bisect_left
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from zoneinfo import ZoneInfo

from cli.sample.pools import Region

DAY = 86_400_000
HOUR = 3_600_000
MINUTE = 60_000
# How much happens at each local hour of a weekday; weekends have a third of it.
ACTIVITY = (1, 1, 1, 1, 1, 2, 5, 12, 26, 38, 40, 36, 30, 32, 36, 34, 30, 26, 22, 20, 18, 12, 6, 3)
OPENS, CLOSES = 8, 20


class Zone:
    """A time zone as an offset for each UTC day: exact to the day, which is enough, since what is written carries its offset."""

    def __init__(self, name: str, first_day: int, days: int) -> None:
        zone = ZoneInfo(name)
        self._first = first_day
        self.offsets: list[int] = []
        self.suffixes: list[str] = []
        for day in range(first_day, first_day + days):
            offset = datetime.fromtimestamp(day * 86_400 + 43_200, zone).utcoffset() or timedelta()
            minutes = int(offset.total_seconds()) // 60
            self.offsets.append(minutes * MINUTE)
            self.suffixes.append(f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02d}:{abs(minutes) % 60:02d}")

    def offset(self, ms: int) -> int:
        return self.offsets[ms // DAY - self._first]

    def suffix(self, ms: int) -> str:
        return self.suffixes[ms // DAY - self._first]

    def opening_from(self, ms: int) -> int:
        """`ms` where someone is at work then, else the next opening: Monday to Friday, 8 to 20 local time."""
        local = ms + self.offset(ms)
        day, within = divmod(local, DAY)
        if within >= CLOSES * HOUR:
            day, within = day + 1, 0
        if weekday(day) >= 5:
            day, within = day + 7 - weekday(day), 0
        return max(ms, day * DAY + max(within, OPENS * HOUR) - self.offset(ms))


def weekday(day: int) -> int:
    """Monday is 0; day 0 (1970-01-01) was a Thursday."""
    return (day + 3) % 7


class Clock:
    """Spells instants between `first` and `end` (and some months around), and says when the conversations begin."""

    def __init__(self, first: int, end: int, regions: list[Region]) -> None:
        self.first, self.end = first, end
        self._first_day = first // DAY - 800
        days = end // DAY + 400 - self._first_day
        epoch = datetime(1970, 1, 1, tzinfo=UTC)
        self._days = [(epoch + timedelta(days=self._first_day + n)).strftime("%Y-%m-%dT") for n in range(days)]
        self._seconds = [f"{s // 3600:02d}:{s // 60 % 60:02d}:{s % 60:02d}." for s in range(86_400)]
        self._millis = [f"{n:03d}" for n in range(1000)]
        names = sorted({region.zone for region in regions})
        self.zones = {name: Zone(name, self._first_day, days) for name in names}
        self._regions = regions
        self._patterns: dict[tuple[int, ...], list[list[float]]] = {}

    def utc(self, ms: int) -> str:
        """RFC 3339 with `Z`."""
        day, rest = divmod(ms, DAY)
        second, milli = divmod(rest, 1000)
        return f"{self._days[day - self._first_day]}{self._seconds[second]}{self._millis[milli]}Z"

    def local(self, ms: int, zone: Zone) -> str:
        """RFC 3339 with the zone's offset."""
        day, rest = divmod(ms + zone.offset(ms), DAY)
        second, milli = divmod(rest, 1000)
        return f"{self._days[day - self._first_day]}{self._seconds[second]}{self._millis[milli]}{zone.suffix(ms)}"

    def shares(self, hour: int) -> list[float]:
        """Cumulated activity of the regions in the UTC hour that starts at `hour` × 3,600,000 ms: its last entry is the total."""
        ms = hour * HOUR
        offsets = tuple(self.zones[region.zone].offset(ms) for region in self._regions)
        if offsets not in self._patterns:
            self._patterns[offsets] = [list(accumulate(self._activity(h, offsets))) for h in range(168)]
        return self._patterns[offsets][(hour + 72) % 168]

    def _activity(self, hour_of_week: int, offsets: tuple[int, ...]) -> list[float]:
        found = []
        for region, offset in zip(self._regions, offsets, strict=True):
            local = (hour_of_week * HOUR + offset) // HOUR % 168
            found.append(region.share * ACTIVITY[local % 24] * (0.34 if local // 24 >= 5 else 1.0))
        return found

    def beginnings(self) -> "Beginnings":
        hours = range(self.first // HOUR, self.end // HOUR)
        return Beginnings(hours.start, list(accumulate(self.shares(hour)[-1] for hour in hours)))


class Beginnings:
    """Turns a share of the whole (0 to 1) into the instant by which that share of all conversations has begun."""

    def __init__(self, first_hour: int, totals: list[float]) -> None:
        self._first_hour, self._totals = first_hour, totals

    def at(self, share: float) -> int:
        wanted = share * self._totals[-1]
        index = min(bisect_left(self._totals, wanted), len(self._totals) - 1)
        before = self._totals[index - 1] if index else 0.0
        return (self._first_hour + index) * HOUR + int((wanted - before) / (self._totals[index] - before) * (HOUR - 1))
