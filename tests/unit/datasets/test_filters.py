"""Filters of the datasets: what is kept, and what the errors say."""

from typing import Any

import pytest

from shared.datasets import registry
from shared.errors import ApiError


@pytest.mark.parametrize(
    ("dataset", "given", "kept"),
    [
        ("leads", {"status": "new"}, {"status": ["new"]}),
        (
            "leads",
            {"status": ["new", "lost"], "score_min": 0, "score_max": 100},
            {"status": ["new", "lost"], "score_min": 0, "score_max": 100},
        ),
        ("leads", {"tags": "a"}, {"tags": {"any": ["a"]}}),
        ("leads", {"tags": ["a", "b"]}, {"tags": {"any": ["a", "b"]}}),
        ("conversations", {"tags": {"all": "a"}}, {"tags": {"all": ["a"]}}),
        ("leads", {"created_after": "2026-03-29"}, {"created_after": "2026-03-28T23:00:00.000000+00:00"}),
        ("leads", {"created_after": "0001-01-01"}, {"created_after": "0001-01-01T00:00:00.000000+00:00"}),  # the calendar's edge
        ("conversations", {"started_before": "2026-03-29T02:30:00"}, {"started_before": "2026-03-29T01:00:00.000000+00:00"}),
        ("conversations", {"started_before": "2026-03-29T02:30:00-05:00"}, {"started_before": "2026-03-29T07:30:00.000000+00:00"}),
        ("messages", {"channel": "ch_1", "medium": ["Twitter"]}, {"channel": ["ch_1"], "medium": ["Twitter"]}),
        ("messages", {}, {}),
    ],
)
def test_kept(dataset: str, given: dict[str, Any], kept: dict[str, Any]) -> None:
    assert registry.get(dataset).validate_filter(given, "Europe/Brussels") == kept


@pytest.mark.parametrize(
    ("dataset", "given", "field"),
    [
        ("leads", {"status": ["new", "x"]}, "filter.status.1"),
        ("leads", {"status": "x"}, "filter.status"),
        ("leads", {"status": []}, "filter.status"),
        ("leads", {"ids": ["a", 5]}, "filter.ids.1"),
        ("leads", {"tags": ["a", None]}, "filter.tags.1"),
        ("leads", {"tags": {"any": ["a", 5]}}, "filter.tags.any.1"),
        ("leads", {"tags": {"none": ["a"]}}, "filter.tags.none"),
        ("leads", {"tags": {}}, "filter.tags"),
        ("leads", {"tags": {"any": ["a"], "all": ["b"]}}, "filter.tags"),
        ("leads", {"tags": 5}, "filter.tags"),
        ("leads", {"score_min": 101}, "filter.score_min"),
        ("leads", {"score_max": "5"}, "filter.score_max"),
        ("leads", {"score_max": True}, "filter.score_max"),
        ("leads", {"created_after": "yesterday"}, "filter.created_after"),
        ("leads", {"created_after": "2026-02-30"}, "filter.created_after"),
        ("leads", {"q": "a\x00b"}, "filter.q"),
        ("leads", {"q": "\ud800"}, "filter.q"),
        ("leads", {"channel": ["a"]}, "filter.channel"),
        ("messages", {"ids": ["a"]}, "filter.ids"),
        ("conversations", {"q": "a"}, "filter.q"),
        ("messages", [], "filter"),
        ("messages", None, "filter"),
        ("messages", "channel", "filter"),
    ],
)
def test_refused_by_name(dataset: str, given: Any, field: str) -> None:
    with pytest.raises(ApiError) as caught:
        registry.get(dataset).validate_filter(given, "Asia/Tokyo")
    assert caught.value.status == 400
    assert field in [d.field for d in caught.value.details]


def test_every_wrong_field_is_named_at_once() -> None:
    with pytest.raises(ApiError) as caught:
        registry.get("leads").validate_filter({"status": "x", "bogus": 1, "score_min": -1})
    assert {d.field for d in caught.value.details} == {"filter.status", "filter.bogus", "filter.score_min"}
    assert "ids, status" in next(d.message for d in caught.value.details if d.field == "filter.bogus")
