"""The values that the planner, the formatter and the datasets share: what an export is resolved to, and what a chunk is."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

_FACT_FIELD = re.compile(r"\bfact\.(\w+)")

# A row's place in the order of its dataset, as texts. Of datasets with one entity a row: (time in UTC to the microsecond, id).
Key = Sequence[str]

REDACTED = "[REDACTED]"
Rule = Literal["keep", "truncate", "year", "hash", "mask", "remove"]
Detector = Literal["url", "email", "iban", "card_number", "ip_address", "phone"]


class ColumnType(StrEnum):
    """What a column holds. `property` follows the value (text, number or boolean); `json` is an object or array as JSON text."""

    text = "text"
    int64 = "int64"
    double = "double"
    boolean = "boolean"
    date = "date"
    timestamp = "timestamp"
    texts = "list of text"
    property = "property"
    json = "json"


def _same(key: str) -> str | None:
    return key


@dataclass(frozen=True)
class Column:
    """A column of a dataset.

    `sql` is a DuckDB expression over the aliases `fact` (the export row) or, where `source` names a dimension, over that one.
    `missing` is its value where the dimension has no row. `formats` limits it to some formats; `default` says whether it is there
    when a request names no columns. `plain`: a text that is never null and one of a few words, so that no format has to look at it.

    For redaction: `also` names columns whose text it shows as well, `inside` says under which key a rule's column stands in its JSON, and `pieces` is the
    expression of its text as a list of {k: rule key or null, v: text}, where it is put together from several columns' texts.
    """

    key: str
    header: str
    type: ColumnType
    description: str
    sql: str
    source: str = "fact"
    missing: str = "null::varchar"
    personal: bool = False
    formats: frozenset[str] | None = None
    default: frozenset[str] | None = None
    asked: bool = True
    plain: bool = False
    also: tuple[str, ...] = ()
    inside: Callable[[str], str | None] = _same
    pieces: str | None = None

    @property
    def fact_fields(self) -> tuple[str, ...]:
        """The fields of `fact` that the expression reads."""
        return tuple(_FACT_FIELD.findall(self.sql))


class CustomProperty(BaseModel):
    """One custom property that an organisation has defined."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)
    name: str
    type: Literal["text", "number", "boolean"] = "text"


class OwnPattern(BaseModel):
    """A pattern (RE2) that an organisation wrote itself, what stands in the place of what it finds, and how the manifest calls it."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)
    name: str
    pattern: str
    replacement: str = REDACTED


class Redaction(BaseModel):
    """What is left out of an export's files, settled when it is accepted: a rule by column key, and what is looked for in every other text.

    `profile` names the key of pseudonyms; what the organisation's default profile asks for is in here already.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)
    profile: str
    columns: dict[str, Rule] = {}
    detect: list[Detector] = []
    patterns: list[OwnPattern] = []


class Wanted(BaseModel):
    """Which rows of a dataset an export is of."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)
    filter: dict[str, Any] = {}
    from_: datetime | None = None
    to: datetime | None = None


class Since(BaseModel):
    """What a delta is measured from: another export, and its instant.

    `found`: what can have changed is found by the changes themselves; else every row is looked at. Settled with the plan, so that all who work on it agree.
    `theirs`: what the other one is of, where that isn't the same (a diff; of a delta it always is).
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)
    export_id: str
    snapshot: str
    found: bool = False
    theirs: Wanted | None = None


class Branding(BaseModel):
    """How an organisation's reports look: a PNG or JPEG as a data: URL, and colours (#rrggbb) by what they are for."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)
    logo: str | None = None
    colours: dict[str, str] = {}


class PlanSpec(BaseModel):
    """Everything that shapes the bytes of an export, resolved when it is accepted. Travels as JSON inside `FormatChunk`.

    A field that isn't there has its default: a plan without new fields is read by older releases too, so a default never changes. A formatter of before that
    doesn't know `redaction` or `since` refuses a plan that has it.
    `scheduled`: of a schedule's run, where the dataset makes a difference (`Dataset.differs_scheduled`).
    `columns` holds the column keys of each format, in order. `from_` and `to` are instants (UTC), `[from_, to)`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)
    dataset: str
    formats: list[str] = Field(min_length=1)
    columns: dict[str, list[str]]
    custom_properties: list[CustomProperty] = []
    timezone: str = "UTC"
    from_: datetime | None = None
    to: datetime | None = None
    filter: dict[str, Any] = {}
    spreadsheet_safe: bool = True
    compression: Literal["none", "gzip", "zstd"] = "none"
    max_rows_per_file: int | None = None
    organisation_name: str = ""
    granularity: Literal["day", "week", "month"] | None = None
    qualification_threshold: int = 70
    operating_hours: dict[str, Any] | None = None
    scheduled: bool = Field(False, exclude_if=lambda value: value is False)
    redaction: Redaction | None = Field(None, exclude_if=lambda value: value is None)
    since: Since | None = Field(None, exclude_if=lambda value: value is None)
    branding: Branding | None = Field(None, exclude_if=lambda value: value is None)


@dataclass(frozen=True)
class Dimension:
    """A relation that many rows of a chunk share, pulled by the chunk's keys and encoded once for each of its rows.

    `key` is the fact field whose distinct values are the keys; `select` makes the DuckDB SELECT from a SQL text[] of them;
    `join` is the condition that ties a fact to its row. Where every fact has exactly one, `by` is the column of `select` with the fact's key in it, '' for null:
    the dimension is dense. A left join hands out the facts without a row after those with one; putting them back in order costs as much as a fifth of the rest,
    so a dimension should be dense where it can.
    `keys`: PostgreSQL's own expression of the keys (text[]), where the chunk's rows are what is looked for: then they don't travel there and back.
    """

    name: str
    key: str
    join: str
    select: Callable[[str], str]
    by: str | None = None
    keys: str | None = None


@dataclass(frozen=True)
class ChunkQuery:
    """What a chunk is made of: the PostgreSQL query for its rows in order, and the dimensions that join them by their keys.

    `place` names the columns of `facts` that hold a row's place in the order: a `Key`, whose last one is the row's id.
    `attached`: small values that other queries give for the rows' ids, each id once at most: a column's name and its query for (id, value). They are put beside the
    facts' own columns without a join, which would cost more than the values.
    """

    facts: str
    place: tuple[str, ...]
    dimensions: tuple[Dimension, ...] = field(default=())
    attached: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Sheet:
    """One of the tables that a workbook's chunk holds, one behind the other.

    `columns` and `query` take the names of the columns that the rows themselves bring, in order: what `names`, a PostgreSQL query for one
    column of text, finds; where it is null there are none.
    """

    name: str
    columns: Callable[[Sequence[str]], list[Column]]
    query: Callable[[Sequence[str]], ChunkQuery]
    names: str | None = None
