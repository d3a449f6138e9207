"""What a report says, from rows to words, shapes and colours."""

import json
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.datasets import registry
from shared.datasets.instants import resolve_instant
from shared.datasets.plan import Branding, PlanSpec, Redaction
from shared.datasets.reports import Reported, start_before
from shared.formatting import charts, palette, wording
from shared.formatting.report import clean, measured, report

ANALYTICS = registry.get("analytics")
assert isinstance(ANALYTICS, Reported)
ROW = {
    "date": "2026-03-01", "total_leads": 1200, "qualified_leads": 3, "conversations": 7, "conversion_rate": Decimal("50.00"), "avg_response_time_ms": 4250,
    "engagement_score": Decimal("0.0"), "widget_engagement_rate": Decimal("0.1250"),
}  # fmt: skip
COLOURS = st.from_regex(r"#[0-9a-f]{6}", fullmatch=True)


def plan(
    start: str = "2026-03-01", end: str = "2026-03-02", timezone: str = "Europe/Brussels", columns: list[str] | None = None, **more: Any
) -> PlanSpec:
    chosen = ANALYTICS.resolve_columns(columns, ["pdf"])
    ends: dict[str, Any] = {"organisation_name": "Acme", "from_": resolve_instant(start, timezone), "to": resolve_instant(end, timezone)}
    return PlanSpec(dataset="analytics", formats=["pdf"], columns=chosen, timezone=timezone, granularity="day", **ends | more)


def content(spec: PlanSpec, rows: int = 1, before: dict[str, Any] | None = None) -> dict[str, Any]:
    assert isinstance(ANALYTICS, Reported)
    shown = [ROW[key] for key in spec.columns["pdf"]]
    line = json.dumps([f"<{v}>" if isinstance(v, Decimal) else v for v in shown]).replace('"<', "").replace('>"', "").encode()
    keys = [c.key for c in measured(ANALYTICS, spec)]
    return report(ANALYTICS, spec, [line] * rows, [[(ROW | (before or {}))[k] for k in keys], [ROW[k] for k in keys]])


def test_values_keep_their_decimals_and_every_column_has_its_words() -> None:
    made = content(plan())
    assert made["table"]["rows"] == [["1 Mar 2026", "1,200", "3", "7", "50.00", "4,250", "0.0", "0.1250"]]
    assert [c["label"] for c in made["table"]["columns"]][:2] == ["Day", "Leads"]
    assert {c.key for c in ANALYTICS.columns()} == {"date", *ANALYTICS.figures}
    assert [n["term"] for n in made["notes"]] == [f.label for f in ANALYTICS.figures.values()]
    assert made["name"] == "Analytics report, 1 Mar 2026, Acme"
    assert (made["span"], made["before"], made["by"]) == ("1 Mar 2026", "28 Feb 2026", "By day")


def test_changes_against_the_time_before() -> None:
    made = content(
        plan(), before={"total_leads": 1000, "conversion_rate": Decimal("52.10"), "avg_response_time_ms": 8500, "qualified_leads": 0}
    )
    told = {c["label"]: (c["value"], c["change"], c["was"], c["direction"], c["tone"]) for c in made["cards"]}
    assert told["Leads"] == ("1,200", "+20.0%", "was 1,000", "up", "good")
    assert told["Qualified leads"] == ("3", "", "was 0", "up", "good")
    assert told["Conversations"] == ("7", "no change", "was 7", "none", "none")
    assert told["Conversion rate"] == ("50.00%", "−2.10 points", "was 52.10%", "down", "bad")
    assert told["Median response time"] == ("4.2 s", "−50.0%", "was 8.5 s", "down", "good")


def test_only_what_was_asked_for_and_what_no_redaction_hides_is_summed_up_or_drawn() -> None:
    spec = plan(columns=["qualified_leads", "date"])
    made = content(spec)
    assert [c["label"] for c in made["cards"]] == ["Qualified leads"]
    assert [[s["label"] for s in c["series"]] for c in made["charts"]] == [["Qualified leads"]]
    hidden = Redaction(profile="p", columns={"total_leads": "mask", "date": "year", "widget_engagement_rate": "remove"})
    spec = plan(redaction=hidden)
    assert "total_leads" not in [c.key for c in measured(ANALYTICS, spec)]
    row = json.dumps(["2026", "[REDACTED]", 3, 7, 1, 1, 1, None]).encode()
    made = report(ANALYTICS, spec, [row], [[1] * 5, [1] * 5])
    assert made["table"]["rows"][0][:3] == ["2026", "[REDACTED]", "3"]
    assert made["table"]["rows"][0][-1] == "–"
    assert made["charts"][0]["labels"] == [{"at": 0.5, "label": "1"}]


@pytest.mark.parametrize(
    ("start", "end", "timezone", "before"),
    [
        ("2026-03-01", "2026-04-01", "Europe/Brussels", "2026-01-29"),  # the clock goes forward within
        ("2026-11-01", "2026-11-08", "Europe/Brussels", "2026-10-25"),  # and back before
        ("2026-03-01T08:00:00Z", "2026-03-01T09:30:00Z", "UTC", "2026-03-01T06:30:00Z"),
        ("0001-01-01", "0001-02-01", "UTC", "0001-01-01"),
    ],
)
def test_the_time_before_is_as_long_on_the_clock(start: str, end: str, timezone: str, before: str) -> None:
    assert start_before(plan(start, end, timezone)) == resolve_instant(before, timezone)


def test_ranges_and_durations_in_words() -> None:
    midnight = datetime(2026, 3, 1)
    assert wording.span(midnight, datetime(2026, 4, 1)) == "1 Mar 2026 – 31 Mar 2026"
    assert wording.span(midnight, midnight + timedelta(hours=1)) == "1 Mar 2026 00:00 – 1 Mar 2026 01:00"
    assert wording.span(midnight, midnight + timedelta(seconds=1)) == "1 Mar 2026 00:00 – 1 Mar 2026 00:00:01"
    assert [wording.duration(ms) for ms in (0, 999, 1000, 59_999, 60_000, 192_000, 7_500_000, 36_000_000_000)] == [
        "0 ms", "999 ms", "1 s", "59.9 s", "1 min", "3 min 12 s", "2 h 5 min", "10,000 h",
    ]  # fmt: skip


@given(COLOURS, COLOURS, COLOURS, COLOURS)
def test_any_colours_leave_the_report_readable(primary: str, secondary: str, background: str, text: str) -> None:
    made = palette.palette({"primary": primary, "secondary": secondary, "background": background, "text": text})
    assert made["background"] == background
    for name in ("text", "muted", "good", "bad"):
        assert palette.contrast(made[name], background) >= 4.5
    assert min(palette.contrast(made[name], background) for name in ("primary", "secondary")) >= 3
    assert palette.contrast(made["on_primary"], made["primary"]) >= 4.5


@given(st.floats(0, 1e12), st.sampled_from(["count", "percent", "milliseconds", "number"]))
def test_an_axis_ends_above_what_it_shows_in_few_round_steps(most: float, unit: Any) -> None:
    top, ticks = charts.scale(most, unit)
    assert top >= most * (1 - 1e-6)
    assert 2 <= len(ticks) <= 6
    assert ticks[0] == 0
    assert ticks[-1] == pytest.approx(top)


@given(st.lists(st.integers(0, 10**9), min_size=1, max_size=80))
def test_points_stay_inside_the_plot(values: list[int]) -> None:
    names = [str(n) for n in range(len(values))]
    made = charts.chart("Leads", "count", [charts.Series("Leads", values)], names, names)
    assert all(0 <= p <= 1 for p in made["series"][0]["points"])
    assert made["labels"][0]["label"] == "0"
    assert made["labels"][-1]["label"] == names[-1]


def test_texts_are_cleaned_of_what_turns_or_hides_them() -> None:
    assert clean("a\u202eb\u2066c\x00\x1b[31m\ufeff\tné\u200d") == "abc[31m né\u200d"
    assert clean("w" * 200).replace("\u200b", "") == "w" * 200
    made = content(plan(organisation_name="‮شركة", branding=Branding(colours={"primary": "#ff0000"})))
    assert made["organisation"] == {"text": "شركة", "rtl": True, "cjk": "SC"}
    assert content(plan(organisation_name="カナ"))["organisation"]["cjk"] == "JP"
    assert content(plan(organisation_name="漢字", timezone="Asia/Taipei"))["organisation"]["cjk"] == "TC"
