"""A score is what the contract's words say, rule by rule, in exact numbers."""

from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.scoring.facts import FACTS, Facts, email_kind
from shared.scoring.rules import DEFAULT_MODEL, WORD, model_of, problems
from shared.scoring.score import number, score
from tests.unit.scoring import made


def _written(rules: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{k: v for k, v in rule.items() if k != "meant"} for rule in rules]


@settings(max_examples=500, deadline=None)
@given(made.rules, made.facts)
def test_any_rules_score_as_the_contract_says(rules: list[dict[str, Any]], facts: Facts) -> None:
    written = _written(rules)
    assert problems({"rules": written}) == []
    scored = score(model_of(written), facts)
    expected = made.naive_score(rules, facts)
    assert (scored.score, [(name, points) for name, points in scored.reasons]) == (expected[0], [(n, Fraction(p)) for n, p in expected[1]])


@settings(max_examples=300, deadline=None)
@given(made.rules, made.facts)
def test_facts_that_no_rule_names_change_nothing(rules: list[dict[str, Any]], facts: Facts) -> None:
    model = model_of(_written(rules))
    named = Facts(**{name: value for name, value in vars(facts).items() if name in model.facts})
    assert score(model, named) == score(model, facts)


@given(st.text())
def test_words_are_runs_of_letters_and_digits(text: str) -> None:
    assert WORD.findall(text) == made.naive_words(text)


@pytest.mark.parametrize(
    ("facts", "expected", "names"),
    [
        (Facts(), 0, []),
        (Facts(qualification_score=Decimal("73")), 37, ["qualification"]),  # 36.5, half up
        (Facts(qualification_score=Decimal("72.98")), 36, ["qualification"]),
        (Facts(visitor_message_count=99), 10, ["engagement"]),
        (Facts(status="lost"), 0, ["lost"]),
        (Facts(title="Vice-President, Sales", phone="", company="Ä"), 14, ["company_given", "senior_title"]),
        (Facts(title="Headteacher"), 0, []),
        (Facts(meeting_booked=False, last_intent="pricing", email_kind="free"), 10, ["buying_intent"]),
        (
            Facts(email_kind="business", phone="+32", company="Acme", title="CTO", last_intent="demo_request", visitor_message_count=12, qualification_score=Decimal(90), meeting_booked=True),
            100, ["qualification", "meeting_booked", "business_email", "phone_given", "company_given", "senior_title", "engagement", "buying_intent"],
        ),
    ],
)  # fmt: skip
def test_the_default_model(facts: Facts, expected: int, names: list[str]) -> None:
    scored = score(DEFAULT_MODEL, facts)
    assert (scored.score, [name for name, _ in scored.reasons]) == (expected, names)


def test_numbers_are_exact_and_fit_into_json() -> None:
    tenths = model_of([{"rule": str(i), "points": 0.1} for i in range(5)])
    assert score(tenths, Facts()).score == 1  # 0.5, which floats would miss
    assert number(Fraction(1, 10) * 3) == 0.3
    assert number(Fraction(10) ** 400) > 1e308 > -1e308 > number(-(Fraction(10) ** 400))


@pytest.mark.parametrize(
    ("email", "kind"),
    [("a@gmail.com", "free"), ("A@GMAIL.Com", "free"), ("a@acme.example", "business"), ("acme", "none"), ("", "none"), ("x@y@aol.com", "free"),
     ("a@", "business"), ("a@mail.gmail.com", "business")],
)  # fmt: skip
def test_kinds_of_addresses(email: str, kind: str) -> None:
    assert email_kind(email) == kind


def test_every_fact_of_the_contract_has_a_kind() -> None:
    assert set(FACTS) == {
        "email_kind", "phone", "company", "title", "source", "tags", "status", "last_intent", "custom_properties", "conversation_count",
        "visitor_message_count", "agent_message_count", "qualification_score", "meeting_booked", "qualification_triggered",
    }  # fmt: skip
    free = Path("shared/scoring/free-mail-domains.txt").read_text("utf-8").split()
    assert all(domain == domain.lower() for domain in free) and "gmail.com" in free
