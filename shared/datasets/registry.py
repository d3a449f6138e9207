"""Finds the datasets: every module of this package that has a `DATASET`. Adding a dataset is adding a file."""

import importlib
import pkgutil
from functools import cache

import shared.datasets
from shared.datasets.base import Dataset


@cache
def all_datasets() -> dict[str, Dataset]:
    """Name → dataset. Raises ValueError where two have the same name or path."""
    found: dict[str, Dataset] = {}
    paths: set[str] = set()
    for module in sorted(m.name for m in pkgutil.iter_modules(shared.datasets.__path__)):
        dataset = getattr(importlib.import_module(f"shared.datasets.{module}"), "DATASET", None)
        if dataset is None:
            continue
        if dataset.name in found or dataset.path in paths:
            raise ValueError(f"two datasets are called '{dataset.name}' or have the path '{dataset.path}'")
        found[dataset.name] = dataset
        paths.add(dataset.path)
    return found


def names() -> list[str]:
    """The names of all datasets, sorted."""
    return sorted(all_datasets())


def get(name: str) -> Dataset:
    """The dataset `name`; raises KeyError where there is none."""
    return all_datasets()[name]
