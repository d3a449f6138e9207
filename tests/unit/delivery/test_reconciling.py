"""When store and tables agree."""

import pytest

from services.delivery.core.reconciling import Count, Report

ONE = Count(1, 10)


@pytest.mark.parametrize(
    ("report", "agree"),
    [
        (Report(ONE, ONE, {"matched": ONE}), True),
        (Report(ONE + ONE, ONE, {"matched": ONE, "under_way": ONE}), True),
        (Report(ONE + ONE, ONE, {"matched": ONE, "foreign": ONE}), True),
        (Report(Count(), ONE, {"missing": ONE}), False),
        (Report(ONE, ONE, {"wrong_size": ONE}), False),
        (Report(ONE, Count(), {"orphan_files": ONE}), False),
        (Report(ONE, Count(), {"orphan_files": ONE}, removed=ONE), True),
        (Report(ONE + ONE, Count(), {"orphan_files": ONE, "orphan_parts": ONE}, removed=ONE), False),
        (Report(ONE, ONE, {"matched": ONE}, uploads=1), False),
    ],
    ids=["matched", "under way", "foreign", "missing", "another size", "orphan", "removed", "half removed", "uploads"],
)
def test_they_agree_where_nothing_is_lost_and_nothing_is_left(report: Report, agree: bool) -> None:
    assert report.agree is agree
    assert report.view()["agree"] is agree
