"""Two instants of the same rows as lines of NDJSON: {"op", "key", "before", "after"}, of a changed row the fields that differ."""

from collections.abc import Sequence

from shared.datasets.base import Dataset
from shared.datasets.plan import Column, PlanSpec
from shared.datasets.sql import duck_literal
from shared.formats.json import quoted


def key_column(dataset: Dataset, spec: PlanSpec) -> Column | None:
    """The column that shows a row's id, redacted as it is in files; None where no column does."""
    return next((column for column in dataset.columns(spec.custom_properties) if column.key == dataset.id_key), None)


def with_key(dataset: Dataset, spec: PlanSpec) -> PlanSpec:
    """The plan with the id's column behind the others where it isn't among them."""
    name, keys = spec.formats[0], spec.columns[spec.formats[0]]
    if dataset.id_key is None or dataset.id_key in keys:
        return spec
    return spec.model_copy(update={"columns": {name: [*keys, dataset.id_key]}})


def lines(before: str, after: str, columns: Sequence[Column], dataset: Dataset, spec: PlanSpec, places: int, name: str) -> str:
    """The DuckDB query for the lines, in order, from two tables of rows: `name` is their column of fields, `places` how many fields a row's place has."""
    id_ = f"_key{places - 1}"
    key, shown = key_column(dataset, spec), [c.key for c in columns]
    differing = [f'a."{name}".c{i} is distinct from b."{name}".c{i}' for i in range(len(columns))]

    def fields(side: str, some: bool) -> str:
        each = [f'{duck_literal(quoted(name_) + ":")} || {side}."{name}".c{i}' for i, name_ in enumerate(shown)]
        kept = [f"case when {differs} then {text} end" if some else text for text, differs in zip(each, differing, strict=True)]
        return f"concat('{{', concat_ws(',', {', '.join(kept)}), '}}')"

    if key is not None:
        place = columns.index(key) if key in columns else len(columns)
        id_text = f'coalesce(a."{name}".c{place}, b."{name}".c{place})'
    else:  # what a profile may hide of an id that no column shows, nobody can say
        id_text = f"json_text(coalesce(a.{id_}, b.{id_}))" if spec.redaction is None else "'null'"
    line = f"""concat('{{"op":"', case when b._n is null then 'added' when a._n is null then 'removed' else 'changed' end, '","key":', {id_text},
        ',"before":', case when b._n is null then 'null' when a._n is null then {fields("b", False)} else {fields("b", True)} end,
        ',"after":', case when a._n is null then 'null' when b._n is null then {fields("a", False)} else {fields("a", True)} end, '}}', chr(10))"""
    order = ", ".join(f"coalesce(a._key{i}, b._key{i})" for i in range(places))
    differs = " or ".join(["a._n is null", "b._n is null", *differing])
    return f"select {line} as line from {after} a full join {before} b on a.{id_} = b.{id_} where {differs} order by {order}"
