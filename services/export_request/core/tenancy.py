"""What an organisation may be called and set: checks of /v1/organisations, /v1/settings and /v1/api-keys."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any
from zoneinfo import available_timezones

from shared.errors import Detail, invalid_request
from shared.http import SCOPES

ORG_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}")
NAME_MAX = 200
PROPERTIES_MAX, PROPERTY_NAME_MAX = 200, 100
PROPERTY_TYPES = ("text", "number", "boolean")
KEY_DAYS_MAX = 3_660

Check = Callable[[Any], list[Detail]]


@dataclass(frozen=True)
class Settings:
    """An organisation's settings so far."""

    name: str
    timezone: str
    custom_properties: list[dict[str, str]]


def checked(body: Any, fields: dict[str, Check], required: Iterable[str] = ()) -> dict[str, Any]:
    """`body` with known fields only, each right. Raises ApiError 400 naming all that are wrong, unknown or missing."""
    if not isinstance(body, dict):
        raise invalid_request(Detail("", "the body must be a JSON object"))
    wrong = [Detail(name[:80], "unknown field") for name in body if name not in fields]
    wrong += [Detail(name, "is required") for name in required if name not in body]
    wrong += [detail for name, check in fields.items() if name in body for detail in check(body[name])]
    if wrong:
        raise invalid_request(*wrong)
    return body


def name(value: Any) -> list[Detail]:
    return _text("name", value, NAME_MAX)


def org_id(value: Any) -> list[Detail]:
    if isinstance(value, str) and ORG_ID.fullmatch(value):
        return []
    return [Detail("org_id", "must have 1 to 63 letters, digits, '_' or '-', and begin with a letter or digit")]


def timezone(value: Any) -> list[Detail]:
    if isinstance(value, str) and value in available_timezones() - {"localtime", "posixrules", "Factory"}:
        return []
    return [Detail("timezone", "is not a known timezone (an IANA name, such as Europe/Brussels)")]


def scopes(value: Any) -> list[Detail]:
    if not isinstance(value, list) or not value:
        return [Detail("scopes", "must be a list with at least one scope")]
    wrong = [Detail(f"scopes.{i}", f"is not a scope; there are {', '.join(SCOPES)}") for i, s in enumerate(value[:100]) if s not in SCOPES]
    return wrong or ([Detail("scopes", "holds a scope twice")] if len(set(value)) != len(value) else [])


def expires_in_seconds(value: Any) -> list[Detail]:
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= KEY_DAYS_MAX * 86_400:
        return []
    return [Detail("expires_in_seconds", f"must be a whole number between 1 and {KEY_DAYS_MAX * 86_400}")]


def custom_properties(value: Any) -> list[Detail]:
    """`[{"name", "type"}]`, in order; a name becomes part of a column's header, so it is one line."""
    if not isinstance(value, list) or len(value) > PROPERTIES_MAX:
        return [Detail("custom_properties", f"must be a list of at most {PROPERTIES_MAX} properties")]
    wrong: list[Detail] = []
    seen: set[str] = set()
    for i, each in enumerate(value):
        wrong += _property(f"custom_properties.{i}", each, seen)
    return wrong


def _property(field: str, value: Any, seen: set[str]) -> list[Detail]:
    if not isinstance(value, dict):
        return [Detail(field, "must be an object with name and type")]
    wrong = [Detail(f"{field}.{key[:80]}", "unknown field") for key in value if key not in ("name", "type")]
    wrong += _text(f"{field}.name", value.get("name"), PROPERTY_NAME_MAX)
    if value.get("type", "text") not in PROPERTY_TYPES:
        wrong.append(Detail(f"{field}.type", f"must be one of {', '.join(PROPERTY_TYPES)}"))
    if isinstance(value.get("name"), str):
        if value["name"] in seen:
            wrong.append(Detail(f"{field}.name", "is there twice"))
        seen.add(value["name"])
    return wrong


def _text(field: str, value: Any, length_max: int) -> list[Detail]:
    if isinstance(value, str) and 1 <= len(value) <= length_max and value.isprintable() and value.strip():
        return []
    return [Detail(field, f"must be text of 1 to {length_max} printable characters, on one line")]
