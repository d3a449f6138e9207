"""An organisation's rules, as it writes them, into what can be evaluated; what is wrong is said by rule, all at once.

    {"rule": "senior_title", "when": "title has a word of [chief, ceo] (any case)", "points": 10}

`when` (left out: always) is `fact`, `fact == literal`, `fact in literal`, `fact has a word of literal` or `fact is given`; `points` a number, `n * fact` or
`min(fact, n)`. A literal is bare text, JSON text in double quotes where it holds any of `,[]()"`, or a list of these in brackets; with `(any case)`
behind it upper and lower case are one. Source of the grammar: the contract's scoring.yaml; docs/scoring.md says what it leaves open.
"""

import functools
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any, NoReturn

from shared.checks import line
from shared.errors import Detail
from shared.scoring.facts import FACTS

RULES_MAX, NAME_MAX, WHEN_MAX, LITERALS_MAX = 100, 100, 4_000, 500
WORD = re.compile(r"[^\W_]+")  # a maximal run of letters and digits
_NUMBER = r"-?[0-9]{1,7}(?:\.[0-9]{1,9})?"
# Nothing here is tried in two ways (++, *+), so that what doesn't match is known after one look at it.
_TIMES = re.compile(rf"({_NUMBER})\s*+\*\s*+(\w++)")
_AT_MOST = re.compile(rf"min\(\s*+(\w++)\s*+,\s*+({_NUMBER})\s*+\)")
_WHEN = re.compile(r"(\w++)\s*+(is given|==|in\b|has a word of\b)?+(.*+)", re.DOTALL)
_LITERAL = re.compile(r'\s*+("(?:[^"\\]|\\.)*+"|[^,\[\]()"]++)\s*+', re.DOTALL)
ANY_CASE = "(any case)"


@dataclass(frozen=True)
class Holds:
    """The fact is true, or a number other than 0, or given."""

    fact: str


@dataclass(frozen=True)
class Given:
    fact: str


@dataclass(frozen=True)
class OneOf:
    """The fact (of a list: one of its entries) is one of these; they are casefolded where case doesn't count, Fractions for a number, booleans for yes or no."""

    fact: str
    values: frozenset[Any]
    any_case: bool


@dataclass(frozen=True)
class HasWord:
    """One of the fact's words is one of these."""

    fact: str
    words: frozenset[str]
    any_case: bool


Condition = Holds | Given | OneOf | HasWord


@dataclass(frozen=True)
class Points:
    """`times` the fact (null: times 1), at most `most`."""

    times: Fraction
    fact: str | None = None
    most: Fraction | None = None


@dataclass(frozen=True)
class Rule:
    name: str
    when: Condition | None
    points: Points


@dataclass(frozen=True)
class Model:
    """Rules in order. `facts` are those that any of them asks about."""

    rules: tuple[Rule, ...]

    @functools.cached_property
    def facts(self) -> frozenset[str]:
        asked = [rule.points.fact for rule in self.rules] + [rule.when.fact for rule in self.rules if rule.when is not None]
        return frozenset(fact for fact in asked if fact is not None)


class RuleError(Exception):
    """What is wrong with one field of a rule."""


def problems(value: Any, field: str = "scoring") -> list[Detail]:
    """All that is wrong with the setting `scoring`: null, or {"rules": [...]}. Each detail names the rule."""
    if value is None:
        return []
    if not isinstance(value, dict):
        return [Detail(field, 'must be {"rules": […]}, or null for the default model')]
    wrong = [Detail(f"{field}.{key[:80]}", "unknown field") for key in value if key != "rules"]
    rules = value.get("rules")
    if not isinstance(rules, list) or len(rules) > RULES_MAX:
        return [*wrong, Detail(f"{field}.rules", f"must be a list of at most {RULES_MAX} rules")]
    seen: set[str] = set()
    for i, rule in enumerate(rules):
        wrong += _problems_of(rule, f"{field}.rules.{i}", i, seen)
    return wrong


def model_of(rules: Sequence[Any]) -> Model:
    """The model of rules without problems. Raises RuleError."""
    return Model(tuple(Rule(rule["rule"], _when(rule.get("when")), _points(rule["points"])) for rule in rules))


@functools.lru_cache(maxsize=256)
def model_of_text(text: str) -> Model:
    """The model of the setting's JSON as it is stored; empty: the default model. Raises RuleError, ValueError, KeyError for what isn't one."""
    return model_of(json.loads(text)["rules"]) if text else DEFAULT_MODEL


def _problems_of(rule: Any, field: str, place: int, seen: set[str]) -> list[Detail]:
    if not isinstance(rule, dict):
        return [Detail(field, f"rule {place + 1} must be an object with rule, points and, optionally, when")]
    name = rule.get("rule")
    good = isinstance(name, str) and not line("", name, NAME_MAX)
    called = f"rule '{name}'" if good else f"rule {place + 1}"
    wrong = [Detail(f"{field}.{key[:80]}", f"{called}: unknown field") for key in rule if key not in ("rule", "when", "points")]
    if not good:
        wrong.append(Detail(f"{field}.rule", f"{called}: its name must be text of 1 to {NAME_MAX} printable characters, on one line"))
    elif name in seen:
        wrong.append(Detail(f"{field}.rule", f"{called} is there twice"))
    else:
        seen.add(str(name))
    if "points" not in rule:
        wrong.append(Detail(f"{field}.points", f"{called}: points are required"))
    for key, read in (("when", _when), ("points", _points)):
        try:
            if key in rule:
                read(rule[key])
        except RuleError as error:
            wrong.append(Detail(f"{field}.{key}", f"{called}: {error}"))
    return wrong


# ---- points


def _points(value: Any) -> Points:
    text = value.strip() if isinstance(value, str) else _text_of_number(value)
    if re.fullmatch(_NUMBER, text):
        return Points(Fraction(text))
    if match := _TIMES.fullmatch(text):
        return Points(Fraction(match[1]), _number_fact(match[2]))
    if match := _AT_MOST.fullmatch(text):
        return Points(Fraction(1), _number_fact(match[1]), Fraction(match[2]))
    raise RuleError("points must be a number, 'n * fact' or 'min(fact, n)'; n has at most 7 digits before the point and 9 behind it")


def _text_of_number(value: Any) -> str:
    """A JSON number's digits, without an exponent, as the grammar has none; empty for what is none, or is larger than any that it has."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 10**7:
        return ""
    return format(Decimal(repr(value)), "f")


def _number_fact(name: str) -> str:
    if FACTS.get(_known(name)) != "number":
        raise RuleError(f"'{name}' is not a number; numbers are {', '.join(n for n, kind in FACTS.items() if kind == 'number')}")
    return name


def _known(name: str) -> str:
    if name not in FACTS:
        raise RuleError(f"'{name[:80]}' is no fact; there are {', '.join(FACTS)}")
    return name


# ---- when


def _when(value: Any) -> Condition | None:
    if value is None:
        return None
    match = _WHEN.fullmatch(value.strip()) if isinstance(value, str) and len(value) <= WHEN_MAX else None
    operator, rest = (match[2], match[3].strip()) if match else (None, "")
    if match is None or (rest and operator in (None, "is given")):
        raise RuleError(
            f"when must be 'fact', 'fact == literal', 'fact in literal', 'fact has a word of literal' or 'fact is given', at most {WHEN_MAX} characters"
        )
    fact = _known(match[1])
    if operator is None:
        return Holds(fact)
    if operator == "is given":
        return Given(fact)
    if FACTS[fact] == "object":
        raise RuleError(f"of '{fact}' it can only be asked whether it is given")
    any_case = rest.endswith(ANY_CASE)
    values = _literals(rest.removesuffix(ANY_CASE).strip(), operator)
    if operator == "has a word of":
        return _has_word(fact, values, any_case)
    return OneOf(fact, frozenset(_value(fact, text, any_case) for text in values), any_case)


def _has_word(fact: str, values: Sequence[str], any_case: bool) -> HasWord:
    if FACTS[fact] not in ("text", "texts"):
        raise RuleError(f"'{fact}' is not text, so it has no words")
    if wrong := [text for text in values if not WORD.fullmatch(text)]:
        raise RuleError(f"'{wrong[0][:80]}' is not one word (letters and digits)")
    return HasWord(fact, frozenset(fold(text, any_case) for text in values), any_case)


def _value(fact: str, text: str, any_case: bool) -> Any:
    match FACTS[fact]:
        case "number":
            if not re.fullmatch(_NUMBER, text):
                raise RuleError(f"'{text[:80]}' is not a number, as '{fact}' is")
            return Fraction(text)
        case "yes or no":
            if text not in ("true", "false"):
                raise RuleError(f"'{fact}' is true or false, not '{text[:80]}'")
            return text == "true"
        case _:
            return fold(text, any_case)


def fold(text: str, any_case: bool) -> str:
    return text.casefold() if any_case else text


def _literals(text: str, operator: str) -> list[str]:
    """The entries of a literal: one, or those of a list in brackets. Only what isn't `==` takes a list."""
    if not (text.startswith("[") and text.endswith("]")):
        if not (match := _LITERAL.fullmatch(text)):
            _refuse_literal(text)
        return [_unquoted(match[1])]
    if operator == "==":
        raise RuleError("'==' takes one literal; a list goes with 'in'")
    found, place, inside = [], 0, text[1:-1]
    while match := _LITERAL.match(inside, place):
        found.append(_unquoted(match[1]))
        place = match.end()
        if place == len(inside):
            break
        if inside[place] != ",":
            _refuse_literal(inside[place:])
        place += 1
    else:
        _refuse_literal(text)
    if len(found) > LITERALS_MAX:
        raise RuleError(f"a list has at most {LITERALS_MAX} entries")
    return found


def _unquoted(text: str) -> str:
    if text.startswith('"'):
        try:
            text = json.loads(text)
        except ValueError:
            _refuse_literal(text)
    else:
        text = text.strip()
    if not text:
        raise RuleError("a literal must not be empty")
    return text


def _refuse_literal(text: str) -> NoReturn:
    raise RuleError(f"'{text[:80]}' is no literal: bare text, text in double quotes, or a list of these in brackets")


DEFAULT_RULES: tuple[dict[str, Any], ...] = (  # scoring.yaml: the default model, version 1
    {"rule": "qualification", "points": "0.5 * qualification_score"},
    {"rule": "meeting_booked", "when": "meeting_booked", "points": 20},
    {"rule": "business_email", "when": "email_kind == business", "points": 8},
    {"rule": "phone_given", "when": "phone is given", "points": 4},
    {"rule": "company_given", "when": "company is given", "points": 4},
    {
        "rule": "senior_title",
        "when": "title has a word of [chief, ceo, cto, cfo, coo, cmo, founder, owner, president, vp, vice, director, head] (any case)",
        "points": 10,
    },
    {"rule": "engagement", "points": "min(visitor_message_count, 10)"},
    {"rule": "buying_intent", "when": "last_intent in [demo_request, pricing, purchase, contact_sales]", "points": 10},
    {"rule": "lost", "when": "status == lost", "points": -40},
)
DEFAULT_MODEL = model_of(DEFAULT_RULES)
