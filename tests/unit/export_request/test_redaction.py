"""Which redaction an export gets: what was asked for, and never less than the organisation's default."""

from itertools import product
from typing import Any

import pytest

from services.export_request.core.request.reading import Organisation
from services.export_request.core.request.resolving import resolve
from shared.datasets.plan import PlanSpec
from shared.datasets.redaction import RANKS, added, stricter, told
from shared.datasets.registry import get
from shared.errors import ApiError

LEADS = {"dataset": "leads", "format": "csv"}
FLOOR: dict[str, Any] = {
    "name": "floor", "default": True, "columns": {"email": "hash", "phone": "truncate", "company": "keep"}, "detect": ["iban"],
    "patterns": [{"pattern": "[0-9]{9}", "replacement": "…"}],
}  # fmt: skip
OTHER: dict[str, Any] = {
    "name": "other", "default": False, "columns": {"email": "keep", "phone": "year", "name": "mask", "company": "keep"}, "detect": ["phone", "email"],
    "patterns": [{"pattern": "[0-9]{9}", "replacement": "…"}, {"pattern": "X[0-9]", "replacement": ""}],
}  # fmt: skip


def spec(profiles: list[dict[str, Any]], **asked: Any) -> PlanSpec:
    return resolve(LEADS | asked, Organisation("org_1", "Acme", "UTC", redaction_profiles=tuple(profiles))).spec


def test_without_a_profile_nothing_is_redacted_and_old_formatters_read_the_plan() -> None:
    made = spec([OTHER])
    assert made.redaction is None
    assert "redaction" not in made.model_dump_json()


def test_the_default_profile_holds_where_none_is_asked_for() -> None:
    made = spec([OTHER, FLOOR])
    assert made == spec([OTHER, FLOOR], redaction="floor")
    assert made.redaction is not None
    assert (made.redaction.profile, made.redaction.columns) == ("floor", FLOOR["columns"])
    assert PlanSpec.model_validate_json(made.model_dump_json()) == made


def test_nobody_asks_for_less_than_the_default() -> None:
    made = spec([FLOOR, OTHER], redaction="other").redaction
    assert made is not None
    assert made.profile == "other"
    assert made.columns == {"email": "hash", "phone": "mask", "company": "keep", "name": "mask"}
    assert made.detect == ["email", "iban", "phone"]
    assert [(p.name, p.pattern) for p in made.patterns] == [("floor.1", "[0-9]{9}"), ("other.2", "X[0-9]")]


@pytest.mark.parametrize("asked", ["nobody's", "", 7, None, ["other"]])
def test_an_unknown_profile_is_named(asked: Any) -> None:
    with pytest.raises(ApiError) as error:
        spec([FLOOR, OTHER], redaction=asked)
    assert (error.value.status, [d.field for d in error.value.details]) == (400, ["redaction"])
    if isinstance(asked, str):
        assert error.value.details[0].message == f"'{asked}' is not a redaction profile; there are floor, other"


def test_the_stricter_rule_is_the_stricter_one_either_way() -> None:
    rules = [None, *RANKS]
    for a, b in product(rules, repeat=2):
        assert stricter(a, b) == stricter(b, a)
        assert stricter(a, a) == a
        assert stricter(stricter(a, b), b) == stricter(a, b)
    assert stricter(None, "keep") is None
    assert stricter("truncate", "year") == "mask"


def test_counts_add_up_and_are_unknown_where_a_chunk_came_without() -> None:
    assert added(added({}, {"columns.a": 1, "patterns.b": 0}), {"columns.a": 2, "patterns.b": 3}) == {"columns.a": 3, "patterns.b": 3}
    assert added(added({}, {}), {"columns.a": 1}) is None


def test_the_manifest_names_rules_patterns_and_counts() -> None:
    made = spec([FLOOR, OTHER], redaction="other")
    assert made.redaction is not None
    shown = told(get("leads").chosen(made, "csv"), made.redaction, {"columns.email": 3, "patterns.phone": 4})
    assert shown == {
        "profile": "other",
        "columns": [
            {"column": "email", "rule": "hash", "values": 3}, {"column": "name", "rule": "mask", "values": 0}, {"column": "phone", "rule": "mask", "values": 0},
        ],
        "patterns": [
            {"name": "floor.1", "matches": 0}, {"name": "other.2", "matches": 0}, {"name": "email", "matches": 0}, {"name": "iban", "matches": 0},
            {"name": "phone", "matches": 4},
        ],
    }  # fmt: skip
    unknown: Any = told(get("leads").chosen(made, "csv"), made.redaction, None)
    assert {each["values"] for each in unknown["columns"]} == {None}
