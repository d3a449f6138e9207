"""Keys that a redaction's rules may have: each is one that something has, and a slip of the pen is none."""

from collections.abc import Iterator

import pytest

from shared.datasets import registry
from shared.datasets.chat_columns import profile
from shared.datasets.plan import Column, CustomProperty, PlanSpec, Redaction, Rule
from shared.datasets.redaction import inner_rules, rule_of
from shared.datasets.rule_keys import known, problem_with

CUSTOM = [CustomProperty(name="budget")]


def columns() -> Iterator[Column]:
    for name in registry.names():
        dataset, formats = registry.get(name), list(registry.get(name).formats)
        yield from dataset.columns(CUSTOM)
        spec = PlanSpec(dataset=name, formats=formats, columns=dataset.resolve_columns(None, formats, CUSTOM), custom_properties=CUSTOM)
        yield from dataset.redactable(spec)
    yield from profile(["vip"])


COLUMNS = list(dict.fromkeys(columns()))


def hidden(key: str, rule: Rule = "mask") -> list[str]:
    """The columns of which a rule hides all, or something inside."""
    redaction = Redaction(profile="p", columns={key: rule})
    return [c.key for c in COLUMNS if rule_of(c, redaction) == rule or inner_rules(c, redaction)]


def test_every_column_may_be_named_and_every_name_hides_something() -> None:
    assert [c.key for c in COLUMNS if problem_with(c.key)] == []
    assert [key for key in known() if not hidden(key)] == []


@pytest.mark.parametrize(
    ("key", "columns"),
    [
        ("custom_budget", {"custom_budget", "custom_properties"}), ("custom_of_one_lead", {"custom_properties"}), ("profile.vip", {"profile.vip"}),
        ("profile", {"profile.vip"}), ("events.card", {"events", "data"}), ("events.type", {"events", "data", "type"}),
    ],
)  # fmt: skip
def test_what_organisations_bring_themselves_is_named_by_its_prefix(key: str, columns: set[str]) -> None:
    assert problem_with(key) is None
    assert columns <= set(hidden(key))


@pytest.mark.parametrize(
    ("key", "meant"),
    [("emial", "email"), ("Email", "email"), ("contact_primary_identifer", "contact_primary_identifier"), ("card", None), ("", None), ("custom_", None),
     ("profile.", None), ("events.", None), ("messages.content", None), ("profiles.vip", None)],
)  # fmt: skip
def test_what_nothing_has_is_told_with_what_may_be_meant(key: str, meant: str | None) -> None:
    problem = problem_with(key)
    assert problem is not None and "no column of any dataset" in problem
    assert meant is None or f"do you mean {meant}?" in problem
    assert "custom_<name>, events.<key>, profile.<key>" in problem


def test_of_two_rules_for_one_place_the_stricter_one_holds() -> None:
    events = next(c for c in COLUMNS if c.key == "events")
    for rules in ({"events.type": "truncate", "type": "remove"}, {"type": "remove", "events.type": "truncate"}):
        found = inner_rules(events, Redaction(profile="p", columns=rules))  # type: ignore[arg-type]
        assert found["type"][1] == "remove"
