"""Which keys a redaction's rules may have. A rule whose key nothing has would hide nothing, and nobody would notice: so it is refused."""

from collections.abc import Iterator
from difflib import get_close_matches
from functools import cache

from shared.datasets.base import Dataset
from shared.datasets.chat_columns import PROFILE
from shared.datasets.conversations import IN_EVENTS
from shared.datasets.leads import CUSTOM
from shared.datasets.plan import Column, PlanSpec
from shared.datasets.registry import all_datasets

# Before names that come with an organisation's own records, so that only their form can be checked.
OPEN = (CUSTOM, f"{PROFILE}.", IN_EVENTS)


def problem_with(key: str) -> str | None:
    """What is wrong with the key of a rule; null: something has it."""
    if key in known() or any(key.startswith(prefix) and key != prefix for prefix in OPEN):
        return None
    like = get_close_matches(key, known(), 1, 0.8)
    meant = f" (do you mean {like[0]}?)" if like else ""
    return f"is no column of any dataset{meant}; custom properties are {CUSTOM}<name>, a contact's own {PROFILE}.<key>, what events' data hold {IN_EVENTS}<key>"


@cache
def known() -> frozenset[str]:
    """The keys of all columns of all datasets, whatever sheet they are on, and of those that a rule may name in their place."""
    columns = [column for dataset in all_datasets().values() for column in _columns(dataset)]
    return frozenset([PROFILE, *(key for c in columns for key in (c.key, *c.also) if not key.startswith(OPEN))])


def _columns(dataset: Dataset) -> Iterator[Column]:
    yield from dataset.columns()
    formats = list(dataset.formats)
    yield from dataset.redactable(PlanSpec(dataset=dataset.name, formats=formats, columns=dataset.resolve_columns(None, formats)))
