"""What can be asked for, as GET /v1/datasets tells it: read from the registries, so that it never says anything else."""

from collections.abc import Sequence
from typing import Any

from services.export_request.core.request import COMPRESSIONS, RANGE_DAYS_MAX
from shared.datasets import registry
from shared.datasets.base import Dataset, in_format
from shared.datasets.plan import Column, CustomProperty


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
        "columns": [_column(column, dataset) for column in dataset.columns(custom_properties)],
        "filters": _filters(dataset),
        "range": dataset.range_rule,
        "limits": {"range_days_max": None if dataset.range_rule == "refused" else RANGE_DAYS_MAX},
        "compression": list(COMPRESSIONS),
    }


def _column(column: Column, dataset: Dataset) -> dict[str, Any]:
    return {
        "key": column.key, "header": column.header, "type": str(column.type), "description": column.description,
        "personal": column.personal, "formats": [f for f in dataset.formats if in_format(column, f)],
    }  # fmt: skip


def _filters(dataset: Dataset) -> list[dict[str, Any]]:
    fields = dataset.filter_model.model_fields
    return [{"name": name, "description": field.description or ""} for name, field in fields.items()]
