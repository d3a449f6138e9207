"""Finds the formats: every module of this package that has a `FORMAT`. Adding a format is adding a file."""

from functools import cache

import shared.formats
from shared.formats.base import Format
from shared.registry import discover


@cache
def all_formats() -> dict[str, Format]:
    """Name → format. Raises ValueError where two have the same name or extension."""
    return discover(shared.formats, "FORMAT", "extension")


def names() -> list[str]:
    """The names of all formats, sorted."""
    return sorted(all_formats())


def get(name: str) -> Format:
    """The format `name`; raises KeyError where there is none."""
    return all_formats()[name]
