"""What a delta says of rows that are gone: a file of its own, with the columns id and deleted_at. No export can ask for it."""

from collections.abc import Mapping
from typing import ClassVar, NoReturn

from shared.datasets.base import Dataset
from shared.datasets.plan import ChunkQuery, Column, ColumnType, Key, PlanSpec
from shared.datasets.redaction import rule_of

PREFIX = "deleted."  # in front of a format: its file of deletions; of a family: the dataset that these are of
_TEXTS = frozenset({"csv", "json", "jsonl", "xlsx", "parquet"})


def _line(time: str) -> Column:
    """Of a txt file a line is all: id, a tab, the time."""
    when = f"coalesce({time}(fact.deleted_at), '')"
    pieces = f"[{{k: 'id', v: fact.id}}, {{k: null::varchar, v: chr(9)}}, {{k: 'deleted_at', v: {when}}}]"
    return Column(
        "line",
        "",
        ColumnType.text,
        "Id and time",
        f"concat(fact.id, chr(9), {when})",
        formats=frozenset({"txt"}),
        asked=False,
        pieces=pieces,
    )


class Deleted(Dataset):
    """Rows that were there at the base's instant and aren't any more."""

    name = "deleted"
    path = "deleted"
    description = "Rows that are gone."
    formats: ClassVar[tuple[str, ...]] = (*sorted(_TEXTS), "txt")

    def __init__(self, family: str) -> None:
        self.family = family  # type: ignore[misc]
        self.fixed_columns = [  # type: ignore[misc]
            Column("id", "id", ColumnType.text, "The row's id", "fact.id", formats=_TEXTS),
            Column("deleted_at", "deleted_at", ColumnType.timestamp, "When it was deleted; empty where it only left the filter", "fact.deleted_at", formats=_TEXTS),
            _line("utc_seconds" if family == "leads" else "local_text"),
        ]  # fmt: skip

    def _never(self, *_: object, **__: object) -> NoReturn:
        raise TypeError("deletions are planned and found with the rows beside which they stand: see query")

    plan_query = count_query = relation = members = before = gone = _never


DATASETS: Mapping[str, Dataset] = {f"{PREFIX}{family}": Deleted(family) for family in ("leads", "care")}


def spec_of(dataset: Dataset, spec: PlanSpec) -> PlanSpec:
    """The plan of the files of deletions beside those of a delta: an id is shown as the dataset's own column of it is."""
    hidden = spec.redaction
    if hidden is not None:
        rules = {key: rule for key in ("id", "deleted_at") if (rule := hidden.columns.get(key)) is not None}
        if dataset.id_key is not None:
            rules.pop("id", None)
            shown = next(column for column in dataset.columns(spec.custom_properties) if column.key == dataset.id_key)
            if (rule := rule_of(shown, hidden)) is not None:
                rules["id"] = rule
        hidden = hidden.model_copy(update={"columns": rules})
    columns = {name: ["line"] if name == "txt" else ["id", "deleted_at"] for name in spec.formats}
    return spec.model_copy(
        update={"dataset": f"{PREFIX}{dataset.family}", "columns": columns, "redaction": hidden, "since": None, "custom_properties": []}
    )


def query(dataset: Dataset, spec: PlanSpec, snapshot: str, lower: Key | None, upper: Key | None) -> ChunkQuery:
    """A chunk's deletions."""
    rows = dataset.gone(spec, snapshot, lower, upper)
    return ChunkQuery(rows, ("id",) if dataset.whole else ("at", "id"))


def counted(dataset: Dataset, counts: Mapping[str, int]) -> dict[str, int]:
    """What was redacted in deletions, by the keys of the dataset's own columns."""
    own = f"columns.{dataset.id_key or 'id'}"
    return {own if name == "columns.id" else name: count for name, count in counts.items()}
