"""Charts of a report: where everything is, in parts of the plot (0 to 1, from its lower left), and what it says to who can't see it."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from shared.datasets.reports import Unit
from shared.formatting.wording import Number, figure

BARS_MAX = 45  # more periods are a line
DOTS_MAX = 45
_LABELS, _LONG = 5, 8  # at most; one less where they have so many letters
_TICKS = 4
_MINUTE, _HOUR = 60_000, 3_600_000


@dataclass(frozen=True)
class Series:
    """Values in order of their periods."""

    label: str
    values: Sequence[Number]


def chart(title: str, unit: Unit, series: Sequence[Series], periods: Sequence[str], short: Sequence[str]) -> dict[str, Any]:
    """`periods` names each period, `short` in few letters. Counts are bars while there is room, everything else a line."""
    count = len(periods)
    top, ticks = scale(max((float(v) for s in series for v in s.values), default=0.0), unit)
    bars = unit == "count" and count <= BARS_MAX
    return {
        "title": title, "kind": "bars" if bars else "line", "dots": count <= DOTS_MAX, "alt": described(title, unit, series, periods, bars),
        "series": [{"label": s.label, "points": [_rounded(float(v) / top) for v in s.values]} for s in series],
        "ticks": [{"at": _rounded(t / top), "label": _tick(t, unit)} for t in ticks],
        "labels": [{"at": place(i, count, bars), "label": short[i]} for i in labelled(count, _LABELS - (max(map(len, short), default=0) >= _LONG))],
    }  # fmt: skip


def scale(most: float, unit: Unit) -> tuple[float, list[float]]:
    """The top of an axis that begins at 0, and its ticks: round steps, and none between whole things."""
    least = 1.0 if unit in ("count", "milliseconds") else 0.0
    raw = max(most / _TICKS, least, 1e-4 if most else 0.25)
    step = next(s for s in _steps(unit) if s >= raw * (1 - 1e-9))
    count = max(1, -(-_units(most, step) // 1))
    return step * count, [step * i for i in range(int(count) + 1)]


def _units(most: float, step: float) -> float:
    return round(most / step, 9)


def _steps(unit: Unit) -> Any:
    if unit == "milliseconds":  # round in the units that they are told in
        yield from (n for n in (1, 2, 5, 10, 20, 50, 100, 200, 250, 500, 1_000, 2_000, 5_000, 10_000, 15_000, 30_000))
        yield from (n * _MINUTE for n in (1, 2, 5, 10, 15, 30))
        yield from (n * _HOUR for n in (1, 2, 6, 12))
        base = 24 * _HOUR
    else:
        base = 1
    power = 0 if unit in ("count", "milliseconds") else -4
    while True:
        for n in (1, 2, 5) if unit == "count" or base > 1 else (1, 2, 2.5, 5):
            yield n * base * 10.0**power
        power += 1


def _tick(value: float, unit: Unit) -> str:
    if unit == "milliseconds":
        return figure(round(value), unit)
    for size, letter in ((1e9, "bn"), (1e6, "m"), (1e3, "k")):
        if value >= size:
            return f"{value / size:g}{letter}" + ("%" if unit == "percent" else "")
    return f"{value:.4g}" + ("%" if unit == "percent" else "")


def place(index: int, count: int, bars: bool) -> float:
    """Where a period is on the axis: bars stand in the middle of theirs, a line goes from edge to edge."""
    if bars or count == 1:
        return _rounded((index + 0.5) / count)
    return _rounded(index / (count - 1))


def labelled(count: int, most: int) -> list[int]:
    """The periods that the axis names: the first, the last and some between, evenly."""
    if count <= most:
        return list(range(count))
    return sorted({round(i * (count - 1) / (most - 1)) for i in range(most)})


def described(title: str, unit: Unit, series: Sequence[Series], periods: Sequence[str], bars: bool) -> str:
    """A chart in words."""
    shown = f"{'Bar' if bars else 'Line'} chart of {title.lower()}"
    over = f", {periods[0]}" if len(periods) == 1 else f" over {len(periods)} periods, {periods[0]} to {periods[-1]}"
    return f"{shown}{over}. {' '.join(_told(s, unit, periods) for s in series)}"


def _told(series: Series, unit: Unit, periods: Sequence[str]) -> str:
    values = series.values
    if len(values) == 1:
        return f"{series.label}: {figure(values[0], unit)}."
    low, high = min(values), max(values)
    if low == high:
        return f"{series.label}: {figure(low, unit)} throughout."
    lowest, highest = (f"{figure(v, unit)} ({periods[values.index(v)]})" for v in (low, high))
    total = f", {figure(sum(values), unit)} in all" if unit == "count" else ""
    return f"{series.label}: lowest {lowest}, highest {highest}{total}."


def _rounded(value: float) -> float:
    return float(round(Decimal(value), 5))
