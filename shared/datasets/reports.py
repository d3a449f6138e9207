"""Datasets whose rows a report can show: what it says of each figure, and of the whole range beside the one before."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import ClassVar, Literal

from shared.datasets.groups import Groups
from shared.datasets.instants import local_time, resolve_instant, zone
from shared.datasets.plan import PlanSpec

Unit = Literal["count", "percent", "milliseconds", "number"]


@dataclass(frozen=True)
class Figure:
    """How a report shows a column: what it is called, what it counts, and whether more of it or less is better (none: neither)."""

    label: str
    unit: Unit
    better: Literal["more", "less"] | None = "more"


@dataclass(frozen=True)
class Chart:
    """A chart of columns of one unit; each is a part of the one before."""

    title: str
    columns: tuple[str, ...]


class Reported(Groups):
    """Its rows are periods in order. `figures`: every column but the period's date."""

    title: ClassVar[str]
    figures: ClassVar[Mapping[str, Figure]]
    charts: ClassVar[Sequence[Chart]]

    @abstractmethod
    def summary(self, spec: PlanSpec, snapshot: str) -> str:
        """PostgreSQL query for two rows in order of `n`, with the columns of `groups`: the figures of the time before the range, and of the range."""


def start_before(spec: PlanSpec) -> datetime:
    """Where the time before the range begins: as long before it, on the clock of the export's timezone, as the range is long."""
    assert spec.from_ is not None and spec.to is not None
    start, end = (local_time(moment, zone(spec.timezone)) for moment in (spec.from_, spec.to))
    try:
        return min(resolve_instant((start - (end - start)).isoformat(), spec.timezone), spec.from_)
    except OverflowError:  # before the calendar begins
        return datetime.min.replace(tzinfo=UTC)
