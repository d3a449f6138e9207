"""What can be asked for, as GET /v1/datasets tells it: read from the registries, so that it never says anything else."""

from collections.abc import Iterable, Sequence
from typing import Any

from services.export_request.core.request.options import COMPRESSIONS
from services.export_request.core.request.resolving import RANGE_DAYS_MAX
from shared.datasets import registry
from shared.datasets.base import Dataset, in_format
from shared.datasets.plan import Column, CustomProperty
from shared.datasets.workbooks import Workbook


def names() -> list[str]:
    return registry.names()


def describe(custom_properties: Sequence[CustomProperty]) -> list[dict[str, Any]]:
    """Every dataset, with the columns that an organisation with these properties has."""
    return [_dataset(registry.get(name), custom_properties) for name in registry.names()]


def _dataset(dataset: Dataset, custom_properties: Sequence[CustomProperty]) -> dict[str, Any]:
    return {
        "name": dataset.name,
        "description": dataset.description,
        "formats": list(dataset.formats),
        "default_format": dataset.default_format,
        "columns": [_column(column, dataset, sheet) for sheet, columns in _sheets(dataset, custom_properties) for column in columns],
        "filters": _filters(dataset),
        "range": dataset.range_rule,
        "deltas": dataset.entity is not None,
        "limits": {
            "range_days_max": None if dataset.range_rule == "refused" else RANGE_DAYS_MAX,
            "rows_per_file_max": dataset.rows_max_per_file,
            "rows_found_max": dataset.found_rows_max,
        },
        "requires": ["password", "purpose", "exports:download"] if dataset.protected else [],
        "compression": list(COMPRESSIONS),
    }


def _sheets(dataset: Dataset, custom_properties: Sequence[CustomProperty]) -> Iterable[tuple[str | None, Sequence[Column]]]:
    """The columns by the sheet that they are on: None where a file is one table."""
    return dataset.sheet_columns().items() if isinstance(dataset, Workbook) else [(None, dataset.columns(custom_properties))]


def _column(column: Column, dataset: Dataset, sheet: str | None) -> dict[str, Any]:
    return {
        "sheet": sheet,
        "key": column.key, "header": column.header, "type": str(column.type), "description": column.description,
        "personal": column.personal, "formats": [f for f in dataset.formats if in_format(column, f)],
    }  # fmt: skip


def _filters(dataset: Dataset) -> list[dict[str, Any]]:
    fields = dataset.filter_model.model_fields
    return [{"name": name, "description": field.description or ""} for name, field in fields.items()]
