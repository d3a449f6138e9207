"""Finds the formats: every module of this package that has a `FORMAT`. Adding a format is adding a file."""

import importlib
import pkgutil
from functools import cache

import shared.formats
from shared.formats.base import Format


@cache
def all_formats() -> dict[str, Format]:
    """Name → format. Raises ValueError where two have the same name or extension."""
    found: dict[str, Format] = {}
    extensions: set[str] = set()
    for module in sorted(m.name for m in pkgutil.iter_modules(shared.formats.__path__)):
        fmt = getattr(importlib.import_module(f"shared.formats.{module}"), "FORMAT", None)
        if fmt is None:
            continue
        if fmt.name in found or fmt.extension in extensions:
            raise ValueError(f"two formats are called '{fmt.name}' or have the extension '{fmt.extension}'")
        found[fmt.name] = fmt
        extensions.add(fmt.extension)
    return found


def names() -> list[str]:
    """The names of all formats, sorted."""
    return sorted(all_formats())


def get(name: str) -> Format:
    """The format `name`; raises KeyError where there is none."""
    return all_formats()[name]
