"""Reports of the example records: every value of the csv in the table, and the summary beside the time before."""

import re
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from shared.datasets.plan import Branding, Redaction
from shared.errors import PermanentError
from shared.formatting import wording
from tests.documents import fonts, printed, words
from tests.integration.engine.conftest import CASES, Exporter
from tests.integration.engine.test_workbooks import read_csv

HERE = [c["request"] for c in CASES["cases"] if c["request"]["dataset"] == "analytics" and c["file"].endswith(".csv")]
MONTH = {"dataset": "analytics", "timezone": "Europe/Brussels", "granularity": "month"}


def shown(row: list[str], granularity: str) -> str:
    """A row of the csv as the table shows it."""
    numbers = [wording.number(Decimal(v)) if "." in v else wording.number(int(v)) for v in row[1:]]
    return " ".join([wording.period(date.fromisoformat(row[0]), granularity), *numbers])


@pytest.mark.parametrize("granularity", ["day", "week", "month"])
@pytest.mark.parametrize("request_", HERE, ids=[r["granularity"] for r in HERE])
async def test_the_table_says_what_the_csv_says(exporter: Exporter, request_: dict[str, Any], granularity: str) -> None:
    request = {k: v for k, v in request_.items() if k != "format"} | {"formats": ["csv", "pdf"], "granularity": granularity}
    made = await exporter.export(exporter.spec(request), exporter.snapshot())
    _header, *rows = read_csv(made.files["csv"])
    for text in (words(made.files["pdf"]), printed(made.files["pdf"])):
        missing = [row for row in (shown(r, granularity) for r in rows) if row not in text]
        assert not missing, (missing[:3], text[:3000])
    assert made.parts["pdf"][0].result.rows == len(rows)
    assert all(fonts(made.files["pdf"]).values())


@pytest.mark.parametrize(
    ("start", "end", "before"),
    [
        ("2026-03-16", "2026-03-23", "2026-03-09"),
        ("2026-02-01", "2026-03-01", "2026-01-04"),
        ("2026-02-10T09:00", "2026-02-10T10:30", "2026-02-10T07:30"),
    ],
)
async def test_the_summary_is_the_range_as_one_period_beside_the_time_before(exporter: Exporter, start: str, end: str, before: str) -> None:
    snapshot = exporter.snapshot()
    pdf = words((await exporter.export(exporter.spec({**MONTH, "format": "pdf", "from": start, "to": end}), snapshot)).files["pdf"])
    now, was = await whole(exporter, snapshot, start, end), await whole(exporter, snapshot, before, start)
    for label, (value, earlier) in {
        "Leads": (now[1], was[1]),
        "Qualified leads": (now[2], was[2]),
        "Conversations": (now[3], was[3]),
    }.items():
        assert re.search(rf"\b{label} {wording.number(int(value))} (\S+%|no change)? ?was {wording.number(int(earlier))}\b", pdf), (
            label,
            pdf[:900],
        )
    assert f"Conversion rate {now[4]}%" in pdf
    assert f"Median response time {wording.duration(int(now[5]))}" in pdf
    assert f"was {wording.duration(int(was[5]))}" in pdf
    assert f"was {was[7]}" in pdf


async def whole(exporter: Exporter, snapshot: str, start: str, end: str) -> list[str]:
    """[start, end) as the csv has it: one period, as it is in one month."""
    spec = exporter.spec({**MONTH, "format": "csv", "from": start, "to": end})
    _header, row = read_csv((await exporter.export(spec, snapshot)).files["csv"])
    return row


async def test_the_same_bytes_again_and_beside_other_formats(exporter: Exporter) -> None:
    snapshot, asked = exporter.snapshot(), {**MONTH, "from": "2026-01-01", "to": "2026-07-01"}
    first = (await exporter.export(exporter.spec({**asked, "format": "pdf"}), snapshot)).files["pdf"]
    assert first == (await exporter.export(exporter.spec({**asked, "formats": ["json", "pdf"]}), snapshot)).files["pdf"]


async def test_nothing_at_all_is_a_report_of_zeros(exporter: Exporter) -> None:
    empty = Exporter(exporter.database, exporter.engine, "org_nobody")
    spec = empty.spec({"dataset": "analytics", "format": "pdf", "from": "2026-03-01", "to": "2026-03-02", "granularity": "day"})
    text = words((await empty.export(spec, empty.snapshot())).files["pdf"])
    assert "1 Mar 2026 0 0 0 0.00 0 0.0 0.0000" in text
    assert "Leads 0 no change was 0" in text


async def test_a_redacted_column_is_neither_summed_up_nor_drawn(exporter: Exporter) -> None:
    redaction = Redaction(
        profile="p", columns={"total_leads": "mask", "conversations": "hash", "avg_response_time_ms": "remove", "date": "year"}
    )
    spec = exporter.spec({**MONTH, "format": "pdf", "from": "2026-01-01", "to": "2026-04-01"}, redaction=redaction)
    made = await exporter.export(spec, exporter.snapshot())
    text = words(made.files["pdf"])
    assert text.count("[REDACTED]") == 3
    assert made.parts["pdf"][0].result.redacted == dict.fromkeys(
        ("columns.date", "columns.total_leads", "columns.conversations", "columns.avg_response_time_ms"), 3
    )
    assert len(re.findall("p_[0-9a-f]", text)) == 3
    summary = text.partition("All periods")[0]
    assert "Qualified leads" in summary
    assert not re.search("Conversations [0-9]|Median response", summary)


async def test_a_report_of_days_alone_has_a_table_and_no_more(exporter: Exporter) -> None:
    spec = exporter.spec({**MONTH, "format": "pdf", "from": "2026-01-01", "to": "2026-03-01", "columns": ["date"]})
    text = words((await exporter.export(spec, exporter.snapshot())).files["pdf"])
    assert "All periods Month January 2026 February 2026" in text
    assert not any(title in text for title in ("Summary", "Trends", "About these figures"))


async def test_a_logo_that_is_none_fails_by_name(exporter: Exporter) -> None:
    spec = exporter.spec(
        {**MONTH, "format": "pdf", "from": "2026-01-01", "to": "2026-04-01"}, branding=Branding(logo="data:image/png;base64,iVBORw0KGgo=")
    )
    with pytest.raises(PermanentError) as caught:
        await exporter.export(spec, exporter.snapshot())
    assert caught.value.code == "logo_unreadable"
