"""What a dataset is: declarations, and what a request may ask of it. How its rows are found: entities.py and groups.py."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

from shared.datasets import filters
from shared.datasets.plan import ChunkQuery, Column, CustomProperty, Key, PlanSpec, Sheet
from shared.datasets.redaction import shown
from shared.datasets.sql import current, literal, own, snapshot_literal, texts
from shared.errors import Detail, invalid_request, unprocessable


class Dataset(ABC):
    """One dataset. A subclass in a module of its own, named `DATASET` there, is all that a new one takes.

    `range_rule` is required, optional or refused. `whole` says that all rows of a file are one chunk: where finding some of them costs as much as finding all.
    `granularities`: how long the periods may be that its rows stand for; the first is the default.
    `reads_settings`: what of the organisation's settings its plan keeps, besides what every plan does.
    `differs_scheduled`: its rows aren't the same in a schedule's run (`PlanSpec.scheduled`).
    `protected`: its files are encrypted with a password, asked for with a purpose by who may download.
    `brought`: keys besides its columns' own that a redaction's rule may have, because rows bring what they name; `<…>` stands for whatever theirs is.
    `entity`: the table whose rows its rows stand for, one each, so that two instants can be compared row by row; `id_key` is the column that shows the id.
    """

    name: ClassVar[str]
    path: ClassVar[str]
    description: ClassVar[str]
    formats: ClassVar[tuple[str, ...]] = ("csv", "jsonl", "xlsx", "parquet")
    default_format: ClassVar[str] = "csv"
    family: ClassVar[str] = "care"
    range_rule: ClassVar[str] = "required"
    filter_model: ClassVar[type[filters.Filter]] = filters.Filter
    fixed_columns: ClassVar[Sequence[Column]] = ()
    whole: ClassVar[bool] = False
    granularities: ClassVar[tuple[str, ...]] = ()
    rows_max_per_file: ClassVar[int | None] = None
    reads_settings: ClassVar[frozenset[str]] = frozenset()
    found_rows_max: ClassVar[int | None] = None  # of an export by a search, the filter `q`
    protected: ClassVar[bool] = False
    entity: ClassVar[str | None] = None
    id_key: ClassVar[str | None] = None
    differs_scheduled: ClassVar[bool] = False
    brought: ClassVar[tuple[str, ...]] = ()

    def columns(self, custom_properties: Sequence[CustomProperty] = ()) -> list[Column]:
        """Every column of the dataset, in order; those of an organisation with these properties."""
        return list(self.fixed_columns)

    @abstractmethod
    def plan_query(self, spec: PlanSpec, snapshot: str, after: Key | None, rows_max: int, bytes_max: int | None) -> str:
        """The next chunk after `after`: a query for one row (rows, bytes, last_key: text[] or null where rows is 0).

        `long`, where there is one, says that a text of the chunk may be longer than a format's cells take: `too_long` finds it.
        At most `rows_max` rows and, where `bytes_max` is given, about `bytes_max` bytes, one row at least: that costs a third more, because
        bytes are added up row by row. Run it after `sql.session_sql` in the same transaction.
        """

    @abstractmethod
    def count_query(self, spec: PlanSpec, snapshot: str, lower: Key | None, upper: Key | None) -> str:
        """PostgreSQL query for how many rows are in (lower, upper], and nothing else about them. Run it as plan_query."""

    @abstractmethod
    def relation(self, spec: PlanSpec, snapshot: str, lower: Key | None, upper: Key | None) -> ChunkQuery:
        """What makes the rows in (lower, upper]: only the fields and dimensions that the selected columns read."""

    def too_long(self, spec: PlanSpec, snapshot: str, after: Key | None, upper: Key) -> str:
        """The first row in (after, upper] with a text that some format's cells don't take, and the column: a query for one row (row, from 1; header;
        within: which of the things that the row has on another sheet, or null) or none. What it leaves out, because it is worked out elsewhere or costs too much to look at, the formatter refuses."""
        return "select 1 as row, null as header, null as within limit 0"

    def tables(self, spec: PlanSpec, fmt: str) -> dict[str, list[Column]]:
        """What a format with sheets shows, by the sheets' names: the rows, then what `beside` finds. Columns as the dataset has them."""
        return {self.name.replace("-", " ").capitalize(): self.chosen(spec, fmt)}

    def beside(self, spec: PlanSpec, snapshot: str, rows: str) -> Sequence[Sheet]:
        """The sheets behind that of the rows, about `rows`, a text[] of PostgreSQL's: the chunk's keys in order."""
        return ()

    @abstractmethod
    def members(self, spec: PlanSpec, snapshot: str, lower: Key | None, upper: Key | None) -> str:
        """PostgreSQL query for one text: the array of the keys in (lower, upper], in order."""

    # ---- deltas (docs/deltas.md): with `spec.since`, plan_query counts the rows that may have changed and those that are gone, and relation gives the former

    def worth_finding(self, spec: PlanSpec, snapshot: str) -> str:
        """Whether what changed since `spec.since` is found by the changes themselves (`Since.found`): a query for one boolean `found`."""
        return "select false as found"

    def compared(self, spec: PlanSpec) -> PlanSpec:
        """The plan whose files' rows a delta compares: the delta's own, and more where rows don't show all that its files do."""
        return spec

    @abstractmethod
    def before(self, spec: PlanSpec, keys: str) -> ChunkQuery:
        """The rows with these ids (a text[] of PostgreSQL's) as `spec.since` saw them."""

    @abstractmethod
    def gone(self, spec: PlanSpec, snapshot: str, lower: Key | None, upper: Key | None) -> str:
        """What `spec.since` saw in (lower, upper] and `snapshot` doesn't, in order: a query for the row's place (its last column the id) and `deleted_at`."""

    def years(self, spec: PlanSpec, lower: Key | None, upper: Key | None) -> tuple[int, int]:
        """The years (first, last) that most times of a chunk are in: what shapes statements, never bytes."""
        first = spec.from_.year if spec.from_ else 2026
        return first, spec.to.year if spec.to else first

    # ---- requests

    def validate_filter(self, data: Any, timezone: str = "UTC") -> dict[str, Any]:
        """`data` as `PlanSpec.filter` keeps it; dates are read in `timezone`. Raises ApiError 400 naming each wrong field."""
        return filters.validate(self.filter_model, data, timezone)

    def resolve_columns(
        self, asked: Sequence[str] | None, formats: Sequence[str], custom_properties: Sequence[CustomProperty] = ()
    ) -> dict[str, list[str]]:
        """The column keys of each format: those asked for, or the format's defaults. Raises ApiError (400 unknown or twice, 422 not in this format)."""
        columns = self.columns(custom_properties)
        if asked is None:
            return {f: [c.key for c in columns if in_format(c, f) and (c.default is None or f in c.default)] for f in formats}
        if not asked:
            raise invalid_request(Detail("columns", "must name at least one column"))
        known = {c.key for c in columns if c.asked}
        faults = [Detail(f"columns.{i}", _column_fault(key, asked[:i], known)) for i, key in enumerate(asked)]
        if wrong := [d for d in faults if d.message]:
            raise invalid_request(*wrong)
        return {f: _asked_for(asked, f, [c for c in columns if in_format(c, f)]) for f in formats}

    def selected(self, spec: PlanSpec, fmt: str) -> list[Column]:
        """The columns of one format of an export, in order, as its files show them: one with a redaction rule is text."""
        return [shown(c, spec.redaction) for c in self.chosen(spec, fmt)]

    def redactable(self, spec: PlanSpec) -> list[Column]:
        """The columns of all formats of an export, as the dataset has them."""
        return list(dict.fromkeys(column for name in spec.formats for column in self.chosen(spec, name)))

    def chosen(self, spec: PlanSpec, fmt: str) -> list[Column]:
        """The columns of one format of an export, in order, as the dataset has them."""
        columns = {c.key: c for c in self.columns(spec.custom_properties) if in_format(c, fmt)}
        return [columns[key] for key in spec.columns[fmt]]


def base_of(spec: PlanSpec) -> PlanSpec:
    """The plan by which the rows were found that a delta compares with."""
    since = spec.since
    assert since is not None
    return spec.model_copy(update={"since": None, **dict(since.theirs or {})})


def deleted_at(entity: str, key: str, snapshot: str) -> str:
    """When the entity with the id `key` was deleted: when its last version ended, to the millisecond as all times; null where it is there and only its row is not."""
    seen = snapshot_literal(snapshot)
    ended = f"select date_trunc('milliseconds', max(xd.replaced_at)) from ingest.{entity}_ended xd where {own('xd')} and xd.id = {key} and pg_visible_in_snapshot(xd.ended, {seen})"
    return f"case when not exists (select from ingest.{entity} xd where xd.id = {key} and {current('xd', snapshot)}) then ({ended}) end"


def in_format(column: Column, fmt: str) -> bool:
    """Whether `column` can be in a file of format `fmt`."""
    return column.formats is None or fmt in column.formats


def any_of(sql: str, values: list[str]) -> str:
    """The condition that a text is one of `values`."""
    return f"{sql} = any({texts(values)})"


def holds_part(sql: str, part: str) -> str:
    """The condition that a text holds `part`, in any case (Unicode, the same in every database)."""

    def lower(text: str) -> str:
        return f'lower({text} collate "pg_c_utf8")'

    return f"strpos({lower(sql)}, {lower(literal(part))}) > 0"


def _column_fault(key: Any, before: Sequence[Any], known: set[str]) -> str:
    if not isinstance(key, str) or key not in known:
        return f"'{str(key)[:80]}' is not a column of this dataset"
    return f"'{key}' is asked for twice" if key in before else ""


def _asked_for(asked: Sequence[str], fmt: str, columns: list[Column]) -> list[str]:
    if any(not c.asked for c in columns):
        raise unprocessable(Detail("columns", f"a {fmt} file has no columns to choose from"))
    possible = {c.key for c in columns}
    if wrong := [Detail(f"columns.{i}", f"'{key}' can't be in a {fmt} file") for i, key in enumerate(asked) if key not in possible]:
        raise unprocessable(*wrong)
    return list(asked)
