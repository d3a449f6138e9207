"""The calendar's edges, where a local time may lie outside of it: nothing that a request may say ends a process."""

from datetime import UTC, date, datetime, timedelta

import pytest

from services.delivery.core.destinations.names import names_of
from services.export_request.core.schedules.backfills import backfill
from services.export_request.core.windows import Timing
from shared.datasets import registry
from shared.datasets.instants import local_time, zone
from shared.datasets.plan import PlanSpec
from shared.datasets.reports import Reported, start_before
from shared.errors import ApiError
from shared.formats import registry as formats
from shared.formatting import wording

FIRST, LAST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
DAY = timedelta(days=1)
RANGES = [(FIRST, FIRST + DAY), (FIRST, FIRST + 40 * DAY), (LAST - DAY, LAST), (LAST - 40 * DAY, LAST)]
ZONES = ("UTC", "America/New_York", "Pacific/Kiritimati")


@pytest.mark.parametrize("timezone", ZONES)
@pytest.mark.parametrize("name", registry.names())
def test_every_dataset_is_planned_at_the_calendar_s_edges(name: str, timezone: str) -> None:
    dataset = registry.get(name)
    asked = [f for f in dataset.formats if not formats.get(f).document]
    for start, end in RANGES:
        for granularity in dataset.granularities or (None,):
            spec = PlanSpec(
                dataset=name, formats=asked, columns=dataset.resolve_columns(None, asked), timezone=timezone, granularity=granularity, from_=start, to=end,
            )  # fmt: skip
            assert "select" in dataset.plan_query(spec, "1:1:", None, 100, None)
            assert "select" in dataset.relation(spec, "1:1:", None, None).facts
            if isinstance(dataset, Reported):
                assert start_before(spec) <= start
                assert "select" in dataset.summary(spec, "1:1:")


def test_a_local_time_outside_of_the_calendar_is_its_edge() -> None:
    assert local_time(FIRST, zone("America/New_York")) == datetime.min
    assert local_time(LAST, zone("Asia/Tokyo")) == datetime.max
    assert local_time(datetime(2026, 3, 1, tzinfo=UTC), zone("Asia/Kolkata")) == datetime(2026, 3, 1, 5, 30)
    assert wording.span(datetime.min, datetime.min) == wording.day(date.min)


@pytest.mark.parametrize("frequency", ["hourly", "daily", "weekly"])
@pytest.mark.parametrize("timezone", ZONES)
@pytest.mark.parametrize(
    ("start", "end"), [("0001-01-01", "0001-02-01"), ("0001-01-01T00:00:00Z", "9999-12-31"), ("9999-12-30", "9999-12-31T23:59:59Z")]
)
def test_a_backfill_of_ages_is_refused_and_no_defect(start: str, end: str, timezone: str, frequency: str) -> None:
    now = datetime(2026, 3, 1, tzinfo=UTC)
    with pytest.raises(ApiError) as refused:
        backfill({"from": start, "to": end}, "messages", {}, Timing(frequency, None, timezone), now)
    assert (refused.value.status, [d.field for d in refused.value.details]) == (422, ["to"])


@pytest.mark.parametrize("timezone", ZONES)
def test_a_destination_s_path_has_a_name_for_every_time(timezone: str) -> None:
    for window in ((FIRST, LAST), (None, None)):
        names = names_of("org_a", "exp_1", None, "messages", timezone, LAST, window)
        assert all(names[name] for name in ("year", "month", "day", "from", "to"))
