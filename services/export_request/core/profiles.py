"""Redaction profiles as the settings take them, every wrong part named. What an export gets of them: redaction.py."""

import re
from typing import Any, get_args

from shared import patterns
from shared.checks import known_fields, line, matches
from shared.datasets import rule_keys
from shared.datasets.conversations import IN_EVENTS
from shared.datasets.plan import REDACTED, Detector, Rule
from shared.errors import Detail

PROFILES_MAX, PATTERNS_MAX, COLUMNS_MAX, KEY_MAX = 20, 50, 200, 200
PROFILE_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
ACTIONS = get_args(Rule)
DETECTORS = get_args(Detector)


def check(value: Any) -> list[Detail]:
    """`[{"name", "default", "columns", "detect", "patterns"}]`: one of them may be what exports get that ask for none."""
    if not isinstance(value, list) or len(value) > PROFILES_MAX:
        return [Detail("redaction_profiles", f"must be a list of at most {PROFILES_MAX} profiles")]
    wrong = [detail for i, each in enumerate(value) for detail in _profile(f"redaction_profiles.{i}", each)]
    profiles = [each for each in value if isinstance(each, dict)]
    names = [each.get("name") for each in profiles]
    wrong += [
        Detail(f"redaction_profiles.{i}.name", "is there twice") for i, n in enumerate(names) if isinstance(n, str) and n in names[:i]
    ]
    if sum(each.get("default") is True for each in profiles) > 1:
        wrong.append(Detail("redaction_profiles", "only one can be the default"))
    return wrong


def _profile(field: str, value: Any) -> list[Detail]:
    wrong = known_fields(field, value, ("name", "default", "columns", "detect", "patterns"))
    if not isinstance(value, dict):
        return wrong
    if not matches(PROFILE_NAME, value.get("name")):
        wrong.append(Detail(f"{field}.name", "must have 1 to 63 lower-case letters, digits, '_' or '-', and begin with a letter or digit"))
    if not isinstance(value.get("default", False), bool):
        wrong.append(Detail(f"{field}.default", "must be true or false"))
    wrong += _columns(f"{field}.columns", value.get("columns", {}))
    detect = value.get("detect", [])
    if not isinstance(detect, list) or any(each not in DETECTORS for each in detect) or len(set(detect)) != len(detect):
        wrong.append(Detail(f"{field}.detect", f"must be a list of some of {', '.join(DETECTORS)}, none twice"))
    return wrong + _patterns(f"{field}.patterns", value.get("patterns", []))


def _columns(field: str, value: Any) -> list[Detail]:
    if not isinstance(value, dict) or len(value) > COLUMNS_MAX:
        return [Detail(field, f"must be an object of at most {COLUMNS_MAX} column keys")]
    wrong = []
    for key, action in value.items():
        named = f"{field}.{key[:80]}"
        wrong += line(named, key, KEY_MAX)
        if problem := rule_keys.problem_with(key):
            wrong.append(Detail(named, problem))
        if action not in ACTIONS:
            wrong.append(Detail(named, f"must be one of {', '.join(ACTIONS)}"))
    return wrong


def _patterns(field: str, value: Any) -> list[Detail]:
    if not isinstance(value, list) or len(value) > PATTERNS_MAX:
        return [Detail(field, f"must be a list of at most {PATTERNS_MAX} patterns")]
    wrong: list[Detail] = []
    for i, each in enumerate(value):
        place = f"{field}.{i}"
        wrong += known_fields(place, each, ("pattern", "replacement"))
        if isinstance(each, dict):
            if problem := patterns.problem_with(each.get("pattern")):
                wrong.append(Detail(f"{place}.pattern", problem))
            replacement = each.get("replacement", "")
            if not isinstance(replacement, str) or len(replacement) > 100 or not replacement.isprintable():
                wrong.append(Detail(f"{place}.replacement", "must be text of at most 100 printable characters"))
    return wrong


def looks_into_events(value: Any) -> bool:
    """Whether a rule is for what events' data hold: a formatter of a release before these were would pass it over."""
    return any(key.startswith(IN_EVENTS) for each in value or () for key in each.get("columns", {}))


def full(value: Any) -> Any:
    """Checked profiles, with what was left out of them."""
    empty = {"default": False, "columns": {}, "detect": [], "patterns": []}
    return [{**empty, **each, "patterns": [{"replacement": REDACTED, **p} for p in each.get("patterns", [])]} for each in value]
