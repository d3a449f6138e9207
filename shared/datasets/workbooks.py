"""Datasets whose file is a workbook: several sheets about the same rows of one table."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from shared.datasets.entities import Entities
from shared.datasets.plan import Column, CustomProperty, PlanSpec, Sheet
from shared.errors import Detail, invalid_request, unprocessable


@dataclass(frozen=True)
class Gathered:
    """What several sheets go by, ids above all, found once for all of them: a PostgreSQL query of one row, with a text[] for each of the names (null: none)."""

    names: tuple[str, ...]
    query: str


class Workbook(Entities):
    """Its export rows are rows of `table`, and each sheet is made of those of a chunk, which is a whole file: what is there once in a file is there once
    in its chunk, and a part holds all sheets one behind the other. The first sheet has a row for each export row, in their order.
    """

    whole = True
    fields: ClassVar[Mapping[str, str]] = {}

    @abstractmethod
    def gathered(self, snapshot: str, rows: str) -> Sequence[Gathered]:
        """What is gathered from `rows`, as in `sheets`."""

    @abstractmethod
    def sheets(self, spec: PlanSpec, snapshot: str, rows: str, ids: Mapping[str, str]) -> Sequence[Sheet]:
        """The sheets about `rows`, a text[] of PostgreSQL's: the chunk's keys in order. `ids`: what was gathered, each a text[] too."""

    @abstractmethod
    def sheet_columns(self) -> dict[str, list[Column]]:
        """The columns of each sheet, without those that the rows bring."""

    def columns(self, custom_properties: Sequence[CustomProperty] = ()) -> list[Column]:
        return [column for columns in self.sheet_columns().values() for column in columns]

    def redactable(self, spec: PlanSpec) -> list[Column]:
        return self.columns()

    def tables(self, spec: PlanSpec, fmt: str) -> dict[str, list[Column]]:
        return self.sheet_columns()

    def resolve_columns(
        self, asked: Sequence[str] | None, formats: Sequence[str], custom_properties: Sequence[CustomProperty] = ()
    ) -> dict[str, list[str]]:
        """Every sheet has all of its columns."""
        if asked is not None and not asked:
            raise invalid_request(Detail("columns", "must name at least one column"))
        if asked is not None:
            raise unprocessable(Detail("columns", "a workbook has no columns to choose from: every sheet has all of its columns"))
        return {name: [] for name in formats}
