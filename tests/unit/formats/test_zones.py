"""Local times in files, against zoneinfo."""

from bisect import bisect_right
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import TZPATH, ZoneInfo, available_timezones

import duckdb
import pytest
import tzdata

from shared.formats import macros, zones
from shared.formats.zones import periods

ZONES = [
    "UTC", "Europe/Brussels", "America/New_York", "America/St_Johns", "Asia/Kathmandu", "Australia/Lord_Howe", "Africa/Casablanca", "Africa/Cairo",
    "Europe/Chisinau", "Europe/Dublin", "Pacific/Apia", "Pacific/Chatham", "Asia/Tehran", "America/Sao_Paulo", "Antarctica/Troll", "Asia/Gaza",
]  # fmt: skip
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def own() -> Iterator[duckdb.DuckDBPyConnection]:
    connection = duckdb.connect(config={"threads": 1})
    connection.execute(macros.encoders())
    yield connection
    connection.close()


def shown(connection: duckdb.DuckDBPyConnection, instants: list[datetime]) -> list[tuple[str, str, str]]:
    """Without going through the session's timezone: microseconds in."""
    values = [(i - EPOCH) // timedelta(microseconds=1) for i in instants]
    sql = "select local_text(t), local_clock(t), local_date(t) from (select make_timestamptz(unnest(?::bigint[])) t)"
    return connection.execute(sql, [values]).fetchall()


def expected(instant: datetime, zone: ZoneInfo) -> tuple[str, str, str]:
    local = instant.astimezone(zone)
    clock = f"{(local.hour + 11) % 12 + 1:02}:{local.minute:02} {'AM' if local.hour < 12 else 'PM'}"
    return (f"{local.replace(tzinfo=None).isoformat(' ', 'milliseconds')}", clock, local.date().isoformat())


@pytest.mark.parametrize("name", ZONES)
def test_every_change_of_offset_is_zoneinfos(own: duckdb.DuckDBPyConnection, name: str) -> None:
    zone, millisecond = ZoneInfo(name), timedelta(milliseconds=1)
    changes = [EPOCH + timedelta(microseconds=p.start) for p in periods(name)[1:] if p.start < 4_200_000_000_000_000]
    instants = [i for c in changes for i in (c - millisecond, c, c + timedelta(hours=1, milliseconds=7))]
    instants += [
        datetime(y, m, 15, 12, 0, 0, 999_000, tzinfo=UTC)
        for y in (1, 200, 999, 1000, 1850, 1969, 2026, 2099, 2100, 2499, 2500, 9998)
        for m in (1, 7)
    ]
    for years in ((2025, 2027), (1960, 1975)):
        own.execute(macros.local_time(name, years))
        assert shown(own, instants) == [expected(i, zone) for i in instants]


def test_null_is_nothing(own: duckdb.DuckDBPyConnection) -> None:
    own.execute(macros.local_time("Europe/Brussels", (2025, 2027)))
    assert own.execute("select local_text(null::timestamptz), utc_seconds(null::timestamptz)").fetchone() == (None, None)


def zones_of_their_own() -> list[str]:
    """Of the names that are one and the same zone, the first."""
    folders = [*map(Path, TZPATH), Path(tzdata.__file__).parent / "zoneinfo"]
    names = sorted(available_timezones() - {"localtime"})
    data = {name: next((f / name).read_bytes() for f in folders if (f / name).is_file()) for name in reversed(names)}
    return sorted({rules: name for name, rules in data.items()}.values())


def test_no_change_of_any_zone_is_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every zone, sampled at odd moments between 1900 and 2100: a pair of changes within one step would show."""
    # What isn't sampled needn't be worked out.
    monkeypatch.setattr(zones, "_FIRST", datetime(1899, 12, 1, tzinfo=UTC))
    monkeypatch.setattr(zones, "_LAST", datetime(2101, 1, 1, tzinfo=UTC))
    begin, step = datetime(1900, 1, 1, 0, 0, 1, tzinfo=UTC), timedelta(days=23, hours=7)
    moments = [begin + n * step for n in range((datetime(2100, 1, 1, tzinfo=UTC) - begin) // step + 1)]
    microseconds = [(moment - EPOCH) // timedelta(microseconds=1) for moment in moments]
    names = zones_of_their_own()
    assert len(names) > 300
    for name in names:
        zone, table = ZoneInfo(name), periods.__wrapped__(name)
        starts = [p.start for p in table]
        assert starts == sorted(set(starts))
        offsets = [timedelta(microseconds=p.offset) for p in table]
        ours = [offsets[max(0, bisect_right(starts, us) - 1)] for us in microseconds]
        theirs = [moment.astimezone(zone).utcoffset() for moment in moments]
        assert ours == theirs, (name, next(m for m, one, other in zip(moments, ours, theirs, strict=True) if one != other))


def test_leads_family_is_utc_cut_to_the_second(own: duckdb.DuckDBPyConnection) -> None:
    values = [(datetime(2026, 3, 15, 9, 22, 41, 999_000, tzinfo=UTC) - EPOCH) // timedelta(microseconds=1), -1]
    rows = own.execute("select utc_seconds(make_timestamptz(unnest(?::bigint[])))", [values]).fetchall()
    assert rows == [("2026-03-15T09:22:41Z",), ("1969-12-31T23:59:59Z",)]


def test_unknown_timezone_is_an_error() -> None:
    with pytest.raises(ValueError, match="not a known timezone"):
        periods("Mars/Olympus")
