"""The score of a lead, 0 to 100, with the rules that gave it."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, assert_never

from shared.scoring.facts import EMPTY_OBJECTS, FACTS, Facts
from shared.scoring.rules import WORD, Condition, Given, HasWord, Holds, Model, OneOf, Points, fold

LOWEST, HIGHEST = Fraction(0), Fraction(100)


@dataclass(frozen=True)
class Scored:
    """`reasons`: the rules that gave points, in the model's order, with the points, exactly."""

    score: int
    reasons: tuple[tuple[str, Fraction], ...]


def score(model: Model, facts: Facts) -> Scored:
    """clamp(sum of points, 0, 100), rounded half up."""
    known = vars(facts)
    given = [(rule.name, _points(rule.points, known)) for rule in model.rules if rule.when is None or _holds(rule.when, known)]
    reasons = tuple((name, points) for name, points in given if points)
    total = min(max(sum((points for _, points in reasons), Fraction(0)), LOWEST), HIGHEST)
    return Scored(int(total + Fraction(1, 2)), reasons)


def number(points: Fraction) -> float:
    """The nearest number that JSON can carry."""
    try:
        return float(points)
    except OverflowError:
        return sys.float_info.max if points > 0 else -sys.float_info.max


def _points(points: Points, known: Mapping[str, Any]) -> Fraction:
    if points.fact is None:
        return points.times
    if known[points.fact] is None:
        return Fraction(0)
    value = points.times * Fraction(known[points.fact])
    return value if points.most is None else min(value, points.most)


def _holds(condition: Condition, known: Mapping[str, Any]) -> bool:
    value = known[condition.fact]
    if value is None:
        return False
    match condition:
        case Given():
            return _given(condition.fact, value)
        case Holds():
            return bool(value) and _given(condition.fact, value)
        case OneOf(_, values, any_case):
            return any(_comparable(entry, any_case) in values for entry in (value if isinstance(value, list) else (value,)))
        case HasWord(_, words, any_case):
            texts = value if isinstance(value, list) else (value,)
            return any(fold(word, any_case) in words for text in texts for word in WORD.findall(text))
        case _:
            assert_never(condition)


def _given(fact: str, value: Any) -> bool:
    """Not null, not empty; a number and a no are given."""
    return value not in EMPTY_OBJECTS if FACTS[fact] == "object" else value not in ("", [])


def _comparable(value: Any, any_case: bool) -> Any:
    if isinstance(value, str):
        return fold(value, any_case)
    return value if isinstance(value, bool) else Fraction(value)
