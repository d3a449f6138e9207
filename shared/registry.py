"""Registries that find their entries: every module of a package that has a certain attribute. Adding an entry is adding a file."""

import importlib
import pkgutil
from types import ModuleType
from typing import Any


def discover(package: ModuleType, attribute: str, unique: str) -> dict[str, Any]:
    """Name → the module's `attribute`, for each module of `package` that has it. Raises ValueError where two share a name or what `unique` names."""
    found: dict[str, Any] = {}
    seen: set[str] = set()
    for module in sorted(m.name for m in pkgutil.iter_modules(package.__path__)):
        entry = getattr(importlib.import_module(f"{package.__name__}.{module}"), attribute, None)
        if entry is None:
            continue
        if entry.name in found or getattr(entry, unique) in seen:
            raise ValueError(f"{package.__name__}.{module}: '{entry.name}' or its {unique} '{getattr(entry, unique)}' is there already")
        found[entry.name] = entry
        seen.add(getattr(entry, unique))
    return found
