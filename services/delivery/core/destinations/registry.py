"""Finds the types of destinations: every module of `types` that has a `KIND`. Adding a type is adding a file there, and its carrier."""

from functools import cache

from services.delivery.core.destinations import types
from services.delivery.core.destinations.kinds import Kind
from shared.registry import discover


@cache
def all_kinds() -> dict[str, Kind]:
    """Type → kind. Raises ValueError where two have the same name."""
    return discover(types, "KIND", "name")
