"""Kinds of fields that several types of destinations have: each says the same to who asks and in the OpenAPI document."""

import re
from collections.abc import Sequence
from typing import Any

from services.delivery.core import urls
from services.delivery.core.destinations import templates
from services.delivery.core.destinations.kinds import Field, Rules
from shared.checks import SEEN
from shared.errors import Detail


def matching(name: str, pattern: str, what: str, *, characters_max: int | None = None, **more: Any) -> Field:
    """Text that is wholly like `pattern`; `what` it must be, for people."""
    known = re.compile(pattern)

    def check(field: str, value: Any, rules: Rules) -> list[Detail]:
        good = isinstance(value, str) and (characters_max is None or len(value) <= characters_max) and known.fullmatch(value)
        return [] if good else [Detail(field, f"must be {what}")]

    longest = {} if characters_max is None else {"maxLength": characters_max}
    return Field(name, check, {"type": "string", "pattern": pattern, **longest}, **more)


def line(name: str, characters_max: int, **more: Any) -> Field:
    what = f"text of 1 to {characters_max} printable characters, on one line"
    return matching(name, f"^{SEEN}+$", what, characters_max=characters_max, **more)


def choice(name: str, values: Sequence[str], **more: Any) -> Field:
    def check(field: str, value: Any, rules: Rules) -> list[Detail]:
        return [] if isinstance(value, str) and value in values else [Detail(field, f"must be one of: {', '.join(values)}")]

    return Field(name, check, {"type": "string", "enum": list(values)}, **more)


def whole(name: str, high: int, what: str = "a number", **more: Any) -> Field:
    """From 1 to `high`."""

    def check(field: str, value: Any, rules: Rules) -> list[Detail]:
        good = isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= high
        return [] if good else [Detail(field, f"must be {what} from 1 to {high}")]

    return Field(name, check, {"type": "integer", "minimum": 1, "maximum": high}, **more)


def flag(name: str, **more: Any) -> Field:
    def check(field: str, value: Any, rules: Rules) -> list[Detail]:
        return [] if isinstance(value, bool) else [Detail(field, "must be true or false")]

    return Field(name, check, {"type": "boolean"}, **more)


def path(name: str) -> Field:
    """Where files go, with placeholders (templates.py); without one: at the top."""

    def check(field: str, value: Any, rules: Rules) -> list[Detail]:
        problem = templates.problem_with(value, rules.org_id)
        return [Detail(field, problem)] if problem else []

    return Field(name, check, {"type": "string", "maxLength": templates.TEMPLATE_CHARACTERS_MAX}, default="")


def url(name: str, characters_max: int = urls.URL_CHARACTERS_MAX, *, with_query: bool = True, **more: Any) -> Field:
    """Where requests go: whoever changes it gives the secrets again."""

    shape = f"must be a URL of at most {characters_max} characters" + ("" if with_query else ", without '?'")

    def check(field: str, value: Any, rules: Rules) -> list[Detail]:
        problem = urls.problem_with(value, urls.UrlRules(rules.allow_http, rules.addresses))
        if problem is None and (len(value) > characters_max or ("?" in value and not with_query)):
            problem = shape
        return [Detail(field, problem)] if problem else []

    pattern = "^https?://[!-~]+$" if with_query else "^https?://[!->@-~]+$"
    return Field(name, check, {"type": "string", "format": "uri", "maxLength": characters_max, "pattern": pattern}, leads=True, **more)
