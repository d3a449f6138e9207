"""Finds the datasets: every module of this package that has a `DATASET`. Adding a dataset is adding a file."""

from functools import cache

import shared.datasets
from shared.datasets import deleted
from shared.datasets.base import Dataset
from shared.registry import discover


@cache
def all_datasets() -> dict[str, Dataset]:
    """Name → dataset. Raises ValueError where two have the same name or path."""
    return discover(shared.datasets, "DATASET", "path")


def names() -> list[str]:
    """The names of all datasets, sorted."""
    return sorted(all_datasets())


def get(name: str) -> Dataset:
    """The dataset `name`, also one of those that only files of deletions are of; raises KeyError where there is none."""
    return deleted.DATASETS.get(name) or all_datasets()[name]
