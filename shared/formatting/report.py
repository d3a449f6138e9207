"""What a report says: from rows, the summary's figures and the plan to the content that the template draws. No clock: the same always."""

import json
import re
import unicodedata
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from shared.datasets.instants import local_time, zone
from shared.datasets.plan import Branding, Column, ColumnType, PlanSpec
from shared.datasets.redaction import rule_of
from shared.datasets.reports import Figure, Reported, start_before
from shared.formatting import charts, wording
from shared.formatting.palette import palette
from shared.formatting.typesetting import picture
from shared.formatting.wording import Number

_FIRST = {"day": "Day", "week": "Week from", "month": "Month"}
_UNITS = {"milliseconds": " (ms)", "percent": " (%)"}
_NOTHING = "–"
_LONG_WORD, _BREAK = re.compile(r"\S{33,}"), "\u200b"
# Where one writes Chinese characters as another does; kana and hangul in a text say more.
_CJK = {"Asia/Tokyo": "JP", "Asia/Seoul": "KR", "Asia/Taipei": "TC", "Asia/Hong_Kong": "HK", "Asia/Macau": "HK"}


def report(dataset: Reported, spec: PlanSpec, rows: Iterable[bytes], summary: Sequence[Sequence[Number]]) -> dict[str, Any]:
    """The content of a report. `rows`: a JSON array of the cells each; `summary`: `measured` columns of the time before, and of the range."""
    columns = dataset.selected(spec, "pdf")
    cells = [json.loads(row, parse_float=Decimal) for row in rows]
    names = _periods(columns, cells, spec.granularity or "day")
    branding = spec.branding or Branding()
    start, end, before = _clock(spec.from_, spec), _clock(spec.to, spec), _clock(start_before(spec), spec)
    organisation, span = clean(spec.organisation_name), wording.span(start, end)
    measured_ = measured(dataset, spec)
    return {
        "title": dataset.title, "organisation": _text(organisation, spec.timezone), "span": span, "by": f"By {spec.granularity or 'day'}",
        "before": wording.span(before, start), "timezone": spec.timezone, "name": f"{dataset.title}, {span}" + (f", {organisation}" if organisation else ""),
        "colours": palette(branding.colours), "logo": _logo(branding, organisation),
        "cards": [_card(dataset.figures[c.key], *values) for c, *values in zip(measured_, *summary, strict=True)],
        "charts": _charts(dataset, columns, measured_, cells, names),
        "table": {
            "columns": [_head(dataset, c, spec) for c in columns], "rows": [[_cell(v, c, spec) for v, c in zip(row, columns, strict=True)] for row in cells],
        },
        "notes": [{"term": dataset.figures[c.key].label, "text": c.description} for c in columns if c.key in dataset.figures],
    }  # fmt: skip


def measured(dataset: Reported, spec: PlanSpec) -> list[Column]:
    """The columns that summary and charts show: figures that no redaction hides."""
    columns = dataset.chosen(spec, "pdf")
    return [c for c in columns if c.key in dataset.figures and rule_of(c, spec.redaction) in (None, "keep")]


def clean(text: str) -> str:
    """A text without what draws nothing but turns its direction or ends its line, and without what is no character. Words of any length fit a line."""
    seen = "".join(c if _is_seen(c) else " " if c.isspace() else "" for c in text)
    return _LONG_WORD.sub(lambda word: _BREAK.join(re.findall(r".{1,16}", word[0])), seen)


def _is_seen(char: str) -> bool:
    return char in "\u200c\u200d" or unicodedata.category(char) not in ("Cc", "Cf", "Cs", "Cn", "Zl", "Zp")


def _text(text: str, timezone: str) -> dict[str, Any]:
    """A customer's text: from where it is read, and whose Chinese characters it is in."""
    strong = next((d for d in map(unicodedata.bidirectional, text) if d in ("L", "R", "AL")), "L")
    scripts = {unicodedata.name(c, "").partition(" ")[0] for c in text}
    cjk = "JP" if scripts & {"HIRAGANA", "KATAKANA"} else "KR" if "HANGUL" in scripts else _CJK.get(timezone, "SC")
    return {"text": text, "rtl": strong != "L", "cjk": cjk}


def _logo(branding: Branding, organisation: str) -> dict[str, str] | None:
    if branding.logo is None:
        return None
    return picture(branding.logo) | {"alt": f"Logo of {organisation}" if organisation else "Logo"}


def _clock(moment: datetime | None, spec: PlanSpec) -> datetime:
    """An instant as the export's timezone reads it."""
    assert moment is not None
    return local_time(moment, zone(spec.timezone))


def _card(figure: Figure, before: Number, value: Number) -> dict[str, str]:
    changed = wording.change(value, before, figure.unit)
    direction = "none" if value == before else "up" if value > before else "down"
    good = {"up": "more", "down": "less"}.get(direction)
    tone = "none" if good is None or figure.better is None else "good" if figure.better == good else "bad"
    was = f"was {wording.figure(before, figure.unit)}"
    return {
        "label": figure.label,
        "value": wording.figure(value, figure.unit),
        "change": changed,
        "was": was,
        "direction": direction,
        "tone": tone,
    }


def _charts(
    dataset: Reported,
    columns: Sequence[Column],
    shown: Sequence[Column],
    cells: Sequence[Sequence[Any]],
    names: tuple[list[str], list[str]],
) -> list[dict[str, Any]]:
    keys, places = {c.key for c in shown}, {c.key: i for i, c in enumerate(columns)}
    made = []
    for each in dataset.charts:
        series = [charts.Series(dataset.figures[k].label, [row[places[k]] for row in cells]) for k in each.columns if k in keys]
        if series:
            made.append(charts.chart(each.title, dataset.figures[each.columns[0]].unit, series, *names))
    return made


def _periods(columns: Sequence[Column], cells: Sequence[Sequence[Any]], granularity: str) -> tuple[list[str], list[str]]:
    """What each period is called, and in short; where their days aren't shown, by their numbers."""
    place = next((i for i, c in enumerate(columns) if c.type is ColumnType.date), None)
    if place is None:
        return [f"period {n}" for n in range(1, len(cells) + 1)], [str(n) for n in range(1, len(cells) + 1)]
    days = [date.fromisoformat(row[place]) for row in cells]
    years = {d.year for d in days}
    short = [f"{wording.period(d, 'month')[:3]} {d.year}" if granularity == "month" else wording.day(d, len(years) > 1) for d in days]
    return [wording.period(d, granularity) for d in days], short


def _head(dataset: Reported, column: Column, spec: PlanSpec) -> dict[str, Any]:
    figure = dataset.figures.get(column.key)
    label = figure.label + _UNITS.get(figure.unit, "") if figure else _FIRST[spec.granularity or "day"]
    return {"label": label, "text": column.type in (ColumnType.text, ColumnType.date)}


def _cell(value: Any, column: Column, spec: PlanSpec) -> str:
    if value is None:
        return _NOTHING
    if column.type is ColumnType.date:
        return wording.period(date.fromisoformat(value), spec.granularity or "day")
    return clean(value) if isinstance(value, str) else wording.number(value)
