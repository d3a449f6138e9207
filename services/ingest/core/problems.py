"""msgspec's validation errors in the contract's words: a code, a dotted path from the envelope, a message for people."""

import re
from typing import Any

import msgspec

from shared.errors import PermanentError

CODES = ("invalid_json", "invalid_value", "missing_field", "unknown_field", "too_large", "wrong_organisation")
_WHERE = re.compile(r"^(?P<what>.*?)(?: - at `(?P<key>key in )?\$(?P<path>.*)`)?$", re.DOTALL)
_NAMED = re.compile(r"^Object (?P<problem>contains unknown|missing required) field `(?P<name>.*)`$", re.DOTALL)
_EXPECTED = re.compile(r"^Expected (?P<expected>.*), got `(?P<got>[^`]*)`$")
_BOUND = re.compile(r"^Expected `(?P<type>int|float)` (?P<sign>>=|<=) (?P<bound>[0-9]+)(?:\.0)?$")
_LENGTH = re.compile(r"^Expected `str` of length <= (?P<bound>[0-9]+)$")
_WORDS = {
    "str": "text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "array": "a list",
    "object": "an object",
    "null": "null",
}


def problem_of(text: str, model: Any, prefix: str = "") -> PermanentError:
    """The refusal for msgspec's error `text` about a value that was read as `model` and lies at `prefix`."""
    found = _WHERE.match(text)
    what, path = (found["what"], found["path"] or "") if found else (text, "")
    parts = [p for p in re.split(r"[.\[\]]+", path) if p]
    if named := _NAMED.match(what):
        field = ".".join([*filter(None, [prefix]), *parts, named["name"]])
        if named["problem"] == "missing required":
            return PermanentError("missing_field", "is required", field)
        return PermanentError("unknown_field", "unknown field", field)
    field = ".".join([*filter(None, [prefix]), *parts])
    if expected := _EXPECTED.match(what):
        if expected["got"] == "null":
            return PermanentError("missing_field", "is required", field)
        return PermanentError("invalid_value", f"must be {_in_words(expected['expected'])}", field)
    if bound := _BOUND.match(what):
        sign = {">=": "≥", "<=": "≤"}[bound["sign"]]
        return PermanentError("invalid_value", f"must be {_WORDS[bound['type']]} {sign} {bound['bound']}", field)
    if length := _LENGTH.match(what):
        return PermanentError("invalid_value", f"must be at most {length['bound']} characters", field)
    if what.startswith("Invalid enum value"):
        return PermanentError("invalid_value", f"must be one of {', '.join(_allowed(model, parts))}", field)
    return PermanentError("invalid_value", what.replace("Expected", "must be").replace("`", ""), field)


def _in_words(expected: str) -> str:
    """`str | null` → text; null is always the same as leaving the field out."""
    names = [name for name in expected.strip("`").split(" | ") if name != "null"]
    return " or ".join(_WORDS.get(name, name) for name in names)


def _allowed(model: Any, parts: list[str]) -> list[str]:
    """The values of the enumeration at `parts` inside `model`."""
    info: Any = msgspec.inspect.type_info(model)
    for part in parts:
        info = _step(info, part)
    info = _step(info, None)
    return sorted(map(str, info.values)) if isinstance(info, msgspec.inspect.LiteralType) else ["the values that the contract names"]


def _step(info: Any, part: str | None) -> Any:
    """The type of the field or entry `part` of `info`; with null, `info` itself. Unions are of one type and null."""
    while isinstance(info, msgspec.inspect.UnionType | msgspec.inspect.Metadata):
        info = (
            next(i for i in info.types if not isinstance(i, msgspec.inspect.NoneType))
            if isinstance(info, msgspec.inspect.UnionType)
            else info.type
        )
    if part is None:
        return info
    if isinstance(info, msgspec.inspect.ListType):
        return info.item_type
    return next((f.type for f in getattr(info, "fields", ()) if f.encode_name == part), None)
