"""What a cell can hold, and how it is written in csv and JSON (derivations.md, Encoding).

A cell is None, a text, a whole number, a double (of a free object or a custom property), a boolean, a list of texts, a free object, or
one of the two classes here.
"""

import re
from dataclasses import dataclass
from decimal import ROUND_FLOOR, Decimal
from fractions import Fraction
from json.encoder import encode_basestring  # json.dumps's own for ensure_ascii=False
from typing import Any

from tests.oracle.times import local

CONSTANTS = {None: "null", True: "true", False: "false"}
BOM = "\ufeff"
RISKY = re.compile("^'*[=+\\-@\t\r\n＝＋－＠]")


@dataclass(frozen=True)
class Bare:
    """A time or a date: bare in csv, a string in JSON."""

    text: str


@dataclass(frozen=True)
class Figure:
    """A number with a fixed count of decimals: bare in csv, a number in JSON."""

    text: str


def care_time(at: int | None, timezone: str) -> Bare | None:
    """`2026-03-15 10:22:41.123`, in the export's timezone."""
    if at is None:
        return None
    clock = local(at, timezone)
    return Bare(f"{clock:%Y-%m-%d %H:%M:%S}.{clock.microsecond // 1000:03d}")


def lead_time(at: int | None) -> Bare | None:
    """`2026-03-15T09:22:41Z`, cut to the second."""
    return None if at is None else Bare(f"{local(at, 'UTC'):%Y-%m-%dT%H:%M:%SZ}")


def half_up(value: Fraction | int) -> int:
    return int(Fraction(value * 2 + 1) // 2)


def seconds(milliseconds: Fraction | int | None) -> int | None:
    return None if milliseconds is None else half_up(Fraction(milliseconds, 1000))


def decimals(value: Fraction | int, places: int) -> Figure:
    """Half up, and every decimal is written."""
    scaled = half_up(Fraction(value) * 10**places)
    return Figure(str((Decimal(scaled) / 10**places).quantize(Decimal(1).scaleb(-places), ROUND_FLOOR)))


def number(value: float) -> str:
    """A number as RFC 8785 (ECMAScript) prints the double."""
    if isinstance(value, int):
        return str(value)
    if value == 0:
        return "0"
    sign, figures, exponent = Decimal(repr(value)).normalize().as_tuple()
    assert isinstance(exponent, int)
    digits, minus = "".join(map(str, figures)), "-" * sign
    point = len(digits) + exponent  # where the point stands, counted from the first digit
    if len(digits) <= point <= 21:
        return minus + digits + "0" * (point - len(digits))
    if 0 < point <= 21:
        return f"{minus}{digits[:point]}.{digits[point:]}"
    if -6 < point <= 0:
        return f"{minus}0.{'0' * -point}{digits}"
    mantissa = digits[0] + (f".{digits[1:]}" if len(digits) > 1 else "")
    return f"{minus}{mantissa}e{point - 1:+d}"


def canonical(value: Any) -> Any:
    """A free object with its keys in RFC 8785's order: by UTF-16 code units."""
    if isinstance(value, dict):
        return {key: canonical(value[key]) for key in sorted(value, key=lambda k: k.encode("utf-16-be"))}
    return [canonical(entry) for entry in value] if isinstance(value, list) else value


def json_text(value: Any) -> str:
    """Compact, keys as they stand, nothing escaped that needs no escape."""
    if isinstance(value, str):
        return encode_basestring(value)
    if isinstance(value, dict):
        return "{" + ",".join(f"{json_text(key)}:{json_text(entry)}" for key, entry in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(json_text, value)) + "]"
    if isinstance(value, Bare):
        return encode_basestring(value.text)
    if isinstance(value, Figure):
        return value.text
    return CONSTANTS[value] if value is None or isinstance(value, bool) else number(value)


def csv_text(value: Any, *, safe: bool) -> str:
    """`safe`: what a spreadsheet would take for a formula gets an apostrophe in front."""
    if value is None or value == []:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return number(value)
    if isinstance(value, (Bare, Figure)):
        return value.text
    text = ",".join(value) if isinstance(value, list) else value
    if safe and RISKY.match(text):
        text = "'" + text
    return quoted(text)


def quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'
