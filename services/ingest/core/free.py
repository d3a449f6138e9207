"""Free objects (`{}` in the contract): what may be inside, how many keys they hold, and their canonical text (RFC 8785)."""

from typing import Any

import orjson
import rfc8785

from services.ingest.core.types import LIST_ENTRIES_MAX, WHOLE_NUMBER_MAX

NESTING_MAX = 32


class Suspicious(Exception):
    """Something that the fast way can't judge; the careful way refuses it with its path, or finds it right after all."""


def count_keys(value: Any, level: int) -> int:
    """Keys of all objects inside `value`, an object or list on the `level`-th level of its record (the record itself is level 1).

    Raises Suspicious for whole numbers beyond ±2^53, deep nesting and long lists.
    """
    kind = type(value)
    if kind is dict or kind is list:
        if level > NESTING_MAX:
            raise Suspicious
        if kind is dict:
            return len(value) + sum([count_keys(item, level + 1) for item in value.values()])
        if len(value) > LIST_ENTRIES_MAX:
            raise Suspicious
        return sum([count_keys(item, level + 1) for item in value])
    if kind is int and not -WHOLE_NUMBER_MAX <= value <= WHOLE_NUMBER_MAX:
        raise Suspicious
    if kind is float and not -WHOLE_NUMBER_MAX < value < WHOLE_NUMBER_MAX:  # what is ±2^53 as a double may have been one more
        raise Suspicious
    return 0


def canonical(value: Any) -> str:
    """RFC 8785 text of a value that the strict rules let through."""
    if _is_plain(value):
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()
    return rfc8785.dumps(_with_doubles(value)).decode()


def _is_plain(value: Any) -> bool:
    """Whether sorting keys by code point and printing numbers as they are gives the canonical text: ASCII keys, no floats."""
    kind = type(value)
    if kind is dict:
        return "".join(value).isascii() and all([_is_plain(item) for item in value.values()])
    if kind is list:
        return all([_is_plain(item) for item in value])
    return kind is not float


def _with_doubles(value: Any) -> Any:
    """±2^53 is exact as a double, but the library takes whole numbers only below it."""
    if isinstance(value, dict):
        return {key: _with_doubles(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_with_doubles(item) for item in value]
    return float(value) if type(value) is int and abs(value) == WHOLE_NUMBER_MAX else value
