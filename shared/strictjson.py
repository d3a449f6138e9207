"""JSON as the contract takes it: no duplicate keys, no NaN, no lone surrogates, no U+0000, no whole number beyond ±2^53, bounded nesting.

JSON has one kind of number: 3.0 and 3e0 are the whole number 3, and 1e20 is a whole number beyond ±2^53, as every double out there is.
"""

import json
import re
from decimal import Decimal
from math import inf
from typing import Any

NESTING_MAX = 32
WHOLE_NUMBER_MAX = 2**53
_SURROGATE = re.compile("[\ud800-\udfff]")


class JsonProblem(ValueError):
    """What is wrong, and where: `field` is a dotted path, empty where the text isn't JSON at all."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field
        self.message = message


class _Duplicate(dict[str, Any]):
    """An object that had a key twice; found again, with its path, by `_check`."""

    key = ""


def loads(data: bytes | str, nesting_max: int = NESTING_MAX) -> Any:
    """Parse strictly. Raises JsonProblem that names the field."""
    try:
        text = data.decode("utf-8") if isinstance(data, bytes) else data
        value = json.loads(text, object_pairs_hook=_object, parse_float=_number, parse_constant=_refuse_constant)
    except UnicodeDecodeError as error:
        raise JsonProblem("", f"not valid UTF-8 at byte {error.start}") from error
    except json.JSONDecodeError as error:
        raise JsonProblem("", f"not valid JSON: {error.msg} at line {error.lineno}, column {error.colno}") from error
    except RecursionError as error:
        raise JsonProblem("", f"nested deeper than {nesting_max} levels") from error
    except ValueError as error:
        raise (error if isinstance(error, JsonProblem) else JsonProblem("", "not valid JSON: a number has too many digits")) from error
    _check(value, "", nesting_max)
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) == len(pairs):
        return value
    seen: set[str] = set()
    duplicate = _Duplicate(value)
    duplicate.key = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
    return duplicate


def _number(text: str) -> float:
    """As JSON Schema says too."""
    value = float(text)
    if (
        abs(value) == WHOLE_NUMBER_MAX and abs(Decimal(text)) > WHOLE_NUMBER_MAX
    ):  # 9007199254740993.0 is too large by one, which a double doesn't show
        return inf
    return int(value) if value.is_integer() and abs(value) <= WHOLE_NUMBER_MAX else value


def _refuse_constant(name: str) -> Any:
    raise JsonProblem("", f"not valid JSON: {name} is not a number that JSON knows")


def _check(value: Any, path: str, levels: int) -> None:
    """Depth first; a path is only built where it is needed."""
    if isinstance(value, str):
        _check_text(value, path)
    elif isinstance(value, dict):
        if levels == 0:
            raise JsonProblem(path, "nested too deep")
        if isinstance(value, _Duplicate):
            raise JsonProblem(f"{path}.{value.key}" if path else value.key, "the key is there twice")
        for key, item in value.items():
            _check_text(key, path)
            _check(item, f"{path}.{key}" if path else key, levels - 1)
    elif isinstance(value, list):
        if levels == 0:
            raise JsonProblem(path, "nested too deep")
        for index, item in enumerate(value):
            _check(item, f"{path}.{index}" if path else str(index), levels - 1)
    elif isinstance(value, int | float) and not isinstance(value, bool) and abs(value) > WHOLE_NUMBER_MAX:
        raise JsonProblem(path, "a whole number beyond ±2^53 would lose digits: send it as text")


def _check_text(text: str, path: str) -> None:
    if "\x00" in text:
        raise JsonProblem(path, "text must not contain U+0000")
    if _SURROGATE.search(text):
        raise JsonProblem(path, "text must not contain a lone surrogate")
