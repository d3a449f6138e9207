"""Checking a JSON body field by field: all that is wrong is named at once."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from shared.errors import Detail, invalid_request

Check = Callable[[Any], list[Detail]]


def checked(body: Any, fields: Mapping[str, Check], required: Iterable[str] = ()) -> dict[str, Any]:
    """`body` with known fields only, each right. Raises ApiError 400 naming all that are wrong, unknown or missing."""
    if not isinstance(body, dict):
        raise invalid_request(Detail("", "the body must be a JSON object"))
    wrong = [Detail(name[:80], "unknown field") for name in body if name not in fields]
    wrong += [Detail(name, "is required") for name in required if name not in body]
    wrong += [detail for name, check in fields.items() if name in body for detail in check(body[name])]
    if wrong:
        raise invalid_request(*wrong)
    return body


def line(field: str, value: Any, length_max: int) -> list[Detail]:
    """Text that a person reads, on one line."""
    if isinstance(value, str) and 1 <= len(value) <= length_max and value.isprintable() and value.strip():
        return []
    return [Detail(field, f"must be text of 1 to {length_max} printable characters, on one line")]
