"""Checking a JSON body field by field: all that is wrong is named at once."""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from shared.errors import Detail, invalid_request

Check = Callable[[Any], list[Detail]]
# What a line of text doesn't hold: control characters, ends of lines, blanks but the space, and what is invisible or turns the direction of text around.
# (U+200C and U+200D stay: names and emoji need them; lone surrogates never come so far.) As a regular expression, so that the OpenAPI document says the very same.
_UNSEEN = r"\u0000-\u001f\u007f-\u00a0\u00ad\u061c\u1680\u180e\u2000-\u200b\u200e\u200f\u2028-\u202f\u205f-\u206f\u3000\ufeff\ufff9-\ufffb"
SEEN = f"[^{_UNSEEN}]"  # one character, spaces too
LINE = f"^ *[^ {_UNSEEN}]{SEEN}*$"  # not only spaces
_line, _seen = re.compile(LINE), re.compile(f"{SEEN}*")
# An e-mail address as people have them: atoms with dots between them, a name of letters, digits and hyphens. No quotes, brackets or ends of lines: nothing that could
# be anything else in a header or a command.
EMAIL = r"^[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*@[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)+$"
EMAIL_MAX = 254  # characters of an address; 64 of them before the @
_email = re.compile(EMAIL)


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


def is_seen(value: str) -> bool:
    """Whether a text has only characters that a line may have; it may be empty."""
    return _seen.fullmatch(value) is not None


def is_email(value: str) -> bool:
    return len(value) <= EMAIL_MAX and _email.fullmatch(value) is not None and value.index("@") <= 64


def line(field: str, value: Any, length_max: int) -> list[Detail]:
    """Text that a person reads, on one line."""
    if isinstance(value, str) and 1 <= len(value) <= length_max and _line.fullmatch(value):
        return []
    return [Detail(field, f"must be text of 1 to {length_max} printable characters, on one line")]


def known_fields(field: str, value: Any, known: Iterable[str]) -> list[Detail]:
    """An object inside a body, with no fields but these."""
    if not isinstance(value, dict):
        return [Detail(field, f"must be an object with {', '.join(known)}")]
    return [Detail(f"{field}.{name[:80]}", "unknown field") for name in value if name not in known]


def matches(pattern: re.Pattern[str], value: Any) -> bool:
    return isinstance(value, str) and pattern.fullmatch(value) is not None


def boolean(field: str, value: Any) -> list[Detail]:
    return [] if isinstance(value, bool) else [Detail(field, "must be true or false")]
