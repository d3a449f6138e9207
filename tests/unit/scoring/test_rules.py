"""What is no rule is refused, by name and with what is wrong."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.scoring.rules import DEFAULT_RULES, RULES_MAX, Given, HasWord, OneOf, RuleError, model_of, model_of_text, problems


@pytest.mark.parametrize(
    ("rule", "field", "says"),
    [
        ({"rule": "a", "when": "colour == red", "points": 1}, "when", "'colour' is no fact"),
        ({"rule": "a", "when": "title is red", "points": 1}, "when", "when must be"),
        ({"rule": "a", "when": "title == [x]", "points": 1}, "when", "takes one literal"),
        ({"rule": "a", "when": "title in [x,", "points": 1}, "when", "no literal"),
        ({"rule": "a", "when": "title in [x,]", "points": 1}, "when", "no literal"),
        ({"rule": "a", "when": "title in []", "points": 1}, "when", "no literal"),
        ({"rule": "a", "when": 'title == ""', "points": 1}, "when", "must not be empty"),
        ({"rule": "a", "when": "title has a word of [two words]", "points": 1}, "when", "not one word"),
        ({"rule": "a", "when": "conversation_count has a word of [x]", "points": 1}, "when", "not text"),
        ({"rule": "a", "when": "conversation_count == many", "points": 1}, "when", "not a number"),
        ({"rule": "a", "when": "meeting_booked == yes", "points": 1}, "when", "true or false"),
        ({"rule": "a", "when": "custom_properties == x", "points": 1}, "when", "whether it is given"),
        ({"rule": "a", "when": "phone is given (any case)", "points": 1}, "when", "when must be"),
        ({"rule": "a", "when": "not phone", "points": 1}, "when", "when must be"),
        ({"rule": "a", "when": "phone is given or title", "points": 1}, "when", "when must be"),
        ({"rule": "a", "when": "", "points": 1}, "when", "when must be"),
        ({"rule": "a", "when": 3, "points": 1}, "when", "when must be"),
        ({"rule": "a", "points": "2 * title"}, "points", "'title' is not a number"),
        ({"rule": "a", "points": "2 * colour"}, "points", "'colour' is no fact"),
        ({"rule": "a", "points": "min(10, visitor_message_count)"}, "points", "points must be"),
        ({"rule": "a", "points": "visitor_message_count * 2"}, "points", "points must be"),
        ({"rule": "a", "points": "__import__('os')"}, "points", "points must be"),
        ({"rule": "a", "points": True}, "points", "points must be"),
        ({"rule": "a", "points": 1e300}, "points", "points must be"),
        ({"rule": "a", "points": None}, "points", "points must be"),
        ({"rule": "a"}, "points", "points are required"),
        ({"rule": "a", "points": 1, "weight": 2}, "weight", "unknown field"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_of_the_rule(rule: Any, field: str, says: str) -> None:
    found = problems({"rules": [{"rule": "good", "points": 1}, rule]})
    assert [detail.field for detail in found] == [f"scoring.rules.1.{field}"]
    assert "rule 'a'" in found[0].message and says in found[0].message


@pytest.mark.parametrize(
    ("setting", "fields"),
    [
        (5, ["scoring"]), ([], ["scoring"]), ({}, ["scoring.rules"]), ({"rules": {}}, ["scoring.rules"]), ({"rules": [], "x": 1}, ["scoring.x"]),
        ({"rules": [{}] * (RULES_MAX + 1)}, ["scoring.rules"]), ({"rules": [7]}, ["scoring.rules.0"]),
        ({"rules": [{"rule": "", "points": 1}]}, ["scoring.rules.0.rule"]), ({"rules": [{"rule": "a\n", "points": 1}]}, ["scoring.rules.0.rule"]),
        ({"rules": [{"rule": "a", "points": 1}, {"rule": "a", "points": 1}]}, ["scoring.rules.1.rule"]),
        ({"rules": [{"rule": "a", "when": "x", "points": "y"}, {"rule": 1}]},
         ["scoring.rules.0.when", "scoring.rules.0.points", "scoring.rules.1.rule", "scoring.rules.1.points"]),
        (None, []), ({"rules": []}, []), ({"rules": list(DEFAULT_RULES)}, []),
    ],
)  # fmt: skip
def test_all_that_is_wrong_is_named_at_once(setting: Any, fields: list[str]) -> None:
    assert [detail.field for detail in problems(setting)] == fields


def is_refused(rule: Any) -> bool:
    try:
        model_of([rule])
    except RuleError:
        return True
    return False


@given(st.text(), st.text() | st.integers() | st.floats() | st.none())
def test_no_text_breaks_the_reader(when: str, points: Any) -> None:
    rule = {"rule": "a", "when": when, "points": points}
    found = {detail.field for detail in problems({"rules": [rule]})}
    assert found <= {"scoring.rules.0.when", "scoring.rules.0.points"}
    assert bool(found) == is_refused(rule), "what has no problem, and nothing else, can be read"


@pytest.mark.parametrize(
    "hostile",
    [" " * 3990 + "!", "title in [" + " " * 3900 + "(", "title in [" + "a," * 1900 + "(", 'title == "' + "\\" * 3900, "title in [" + '"a"' * 1000, "a" * 4000 + "=="],
)  # fmt: skip
def test_hostile_text_is_refused(hostile: str) -> None:
    """A reader that tries all ways would take minutes, and the test with it."""
    assert problems({"rules": [{"rule": "a", "when": hostile, "points": 1}, {"rule": "b", "points": hostile}]})


def test_literals() -> None:
    rules = [
        {"rule": "1", "when": 'company in [Acme Inc, "a, [b]", "\\u00e9"]', "points": 1},
        {"rule": "2", "when": "title has a word of ceo (any case)", "points": 1},
        {"rule": "3", "when": "  company==Acme Inc (any case)  ", "points": " 1.5 "},
        {"rule": "4", "when": "tags  is given", "points": 1},
    ]
    assert problems({"rules": rules}) == []
    conditions = [rule.when for rule in model_of(rules).rules]
    assert conditions[0] == OneOf("company", frozenset({"Acme Inc", "a, [b]", "é"}), False)
    assert conditions[1] == HasWord("title", frozenset({"ceo"}), True)
    assert conditions[2] == OneOf("company", frozenset({"acme inc"}), True)
    assert conditions[3] == Given("tags")


def test_a_stored_setting_is_read_again() -> None:
    assert model_of_text("").rules[0].name == "qualification"
    assert model_of_text('{"rules":[{"points":1,"rule":"x"}]}').facts == frozenset()
