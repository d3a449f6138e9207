"""What an organisation may be called and set: checks of /v1/organisations, /v1/settings and /v1/api-keys."""

import re
from dataclasses import dataclass
from typing import Any
from zoneinfo import available_timezones

from shared.checks import line
from shared.errors import Detail
from shared.http import SCOPES
from shared.scoring import rules

ORG_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}")
NAME_MAX = 200
PROPERTIES_MAX, PROPERTY_NAME_MAX = 200, 100
PROPERTY_TYPES = ("text", "number", "boolean")
KEY_DAYS_MAX = 3_660


@dataclass(frozen=True)
class Settings:
    """An organisation's settings so far."""

    name: str
    timezone: str
    custom_properties: list[dict[str, str]]


def name(value: Any) -> list[Detail]:
    return line("name", value, NAME_MAX)


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


def scoring(value: Any) -> list[Detail]:
    """`{"rules": […]}`, or null for the default model; each detail names the rule that is wrong."""
    return rules.problems(value, "scoring")


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
    wrong += line(f"{field}.name", value.get("name"), PROPERTY_NAME_MAX)
    if value.get("type", "text") not in PROPERTY_TYPES:
        wrong.append(Detail(f"{field}.type", f"must be one of {', '.join(PROPERTY_TYPES)}"))
    if isinstance(value.get("name"), str):
        if value["name"] in seen:
            wrong.append(Detail(f"{field}.name", "is there twice"))
        seen.add(value["name"])
    return wrong
