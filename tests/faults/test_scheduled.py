"""What is said of a schedule's windows after a round."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.faults.scheduled import ScheduleFacts, judge_schedule

START = datetime(2026, 3, 1, tzinfo=UTC)


def run(hour: int, export: str = "", **more: Any) -> dict[str, Any]:
    ends = {"status": "completed", "export_status": "completed", "whole": True}
    return {
        "window_from": START + timedelta(hours=hour),
        "window_to": START + timedelta(hours=hour + 1),
        "export_id": export or f"exp_{hour}",
        **ends,
        **more,
    }


def test_windows_that_ran_once_each_are_right() -> None:
    assert list(judge_schedule(ScheduleFacts(2, START + timedelta(hours=3), [run(0), run(1), run(2)], 3))) == []


@pytest.mark.parametrize(
    ("runs", "exports", "says"),
    [
        ([run(0), run(2)], 2, "begins at"), ([run(0), run(1), run(1)], 3, "begins at"), ([run(0), run(1, "exp_0")], 2, "exports were accepted"), ([run(0), run(1)], 3, "3 exports"),
        ([run(0, status="failed"), run(1)], 2, "is failed"), ([run(0, whole=False), run(1)], 2, "its export"), ([run(1)], 1, "had ended"), ([run(0)], 1, "begins at"),
    ],
    ids=["a gap", "twice", "one export for two", "an export too many", "failed", "not whole", "too few", "the end"],
)  # fmt: skip
def test_what_is_wrong_is_said(runs: list[dict[str, Any]], exports: int, says: str) -> None:
    found = list(judge_schedule(ScheduleFacts(2, START + timedelta(hours=2), runs, exports)))
    assert any(says in what for what in found), found
