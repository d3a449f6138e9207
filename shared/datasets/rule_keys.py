"""Which keys a redaction's rules may have. A rule whose key nothing has would hide nothing, and nobody would notice: so it is refused."""

from collections.abc import Iterator
from difflib import get_close_matches
from functools import cache

from shared.datasets.base import Dataset
from shared.datasets.plan import Column, PlanSpec
from shared.datasets.registry import all_datasets


def problem_with(key: str) -> str | None:
    """What is wrong with the key of a rule; null: something has it."""
    if key in known() or any(key.startswith(prefix) and key != prefix for prefix in map(_prefix, forms())):
        return None
    like = get_close_matches(key, known(), 1, 0.8)
    meant = f" (do you mean {like[0]}?)" if like else ""
    return f"is no column of any dataset{meant}, nor {', '.join(forms())}"


@cache
def known() -> frozenset[str]:
    """The keys of all columns of all datasets, whatever sheet they are on, and of those that a rule may name in their place."""
    keys = {key for dataset in all_datasets().values() for column in _columns(dataset) for key in (column.key, *column.also)}
    brought = {key for dataset in all_datasets().values() for key in dataset.brought}
    return frozenset(key for key in keys | brought if not key.startswith(tuple(map(_prefix, forms()))))


@cache
def forms() -> tuple[str, ...]:
    """Those of keys that come with an organisation's own records, of which only the form can be checked: `custom_<name>` …"""
    return tuple(sorted(key for dataset in all_datasets().values() for key in dataset.brought if "<" in key))


def _prefix(form: str) -> str:
    return form.partition("<")[0]


def _columns(dataset: Dataset) -> Iterator[Column]:
    yield from dataset.columns()
    formats = list(dataset.formats)
    yield from dataset.redactable(PlanSpec(dataset=dataset.name, formats=formats, columns=dataset.resolve_columns(None, formats)))
