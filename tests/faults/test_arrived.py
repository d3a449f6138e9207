"""The judge of deliveries notices what must not be."""

import pytest

from tests.faults.arrived import GivenUp, There, judge_failed, judge_there
from tests.faults.troubles import Trouble

A, B, C = ("a.csv", "1" * 64), ("b.csv", "2" * 64), ("c.csv", "3" * 64)
FULL, KILL, ONE = Trouble("s3", "fill", 7), Trouble("webhook", "kill", 7), Trouble("email", "refuse-one", 7)


def test_what_is_there_once_and_whole_is_well() -> None:
    assert list(judge_there(FULL, There([A, B]), [B, A], {})) == []


@pytest.mark.parametrize(
    ("there", "says"),
    [
        (There([A]), "and not"),
        (There([A, A, B]), "and not"),
        (There([A, ("b.csv", "0" * 64)]), "and not"),
        (There([A, B], half=[".b.part"]), "half there"),
        (There([A, B], wrong=["not signed"]), "not signed"),
        (There([A, B], inside=["10.0.0.7"]), "10.0.0.7"),
        (There([A, B], {"dlv_1": 2}), "too often"),
    ],
    ids=["missing", "twice", "other bytes", "half", "forged", "inside", "same id again"],
)
def test_what_is_not_well_is_said(there: There, says: str) -> None:
    (said,) = judge_there(FULL, there, [A, B], {})
    assert says in said


def test_an_id_may_come_twice_where_its_answer_may_have_been_lost_and_no_third_time() -> None:
    assert list(judge_there(KILL, There([A], {"dlv_1": 2}), [A], {})) == []
    assert len(list(judge_there(KILL, There([A], {"dlv_1": 3}), [A], {}))) == 1
    assert list(judge_there(FULL, There([A], {"dlv_1": 2}), [A], {"dlv_1": 2})) == [], "it had come so before"


def test_a_delivery_may_only_fail_with_its_word_and_people_are_told() -> None:
    assert list(judge_failed(FULL, GivenUp("failed", "quota", True, [A]), [A], [B])) == []
    for given_up in (
        GivenUp("failed", "unexpected", True, [A]), GivenUp("delivered", None, True, [A]), GivenUp("held", "quota", True, [A]), GivenUp("failed", "quota", False, [A]),
        GivenUp("failed", "quota", True, [A, B]), GivenUp("failed", "quota", True, [A], ["b.csv"]),
    ):  # fmt: skip
        assert len(list(judge_failed(FULL, given_up, [A], [B]))) == 1
    assert list(judge_failed(KILL, GivenUp("failed", "disconnected", True, []), [], [A])), (
        "nothing that is over in a moment ends a delivery"
    )


def test_of_three_recipients_the_two_that_were_not_refused_have_theirs() -> None:
    assert ONE.pick(3) == 1
    assert list(judge_failed(ONE, GivenUp("failed", "rejected", True, [A, C]), [], [A, B, C])) == []
    assert len(list(judge_failed(ONE, GivenUp("failed", "rejected", True, [A]), [], [A, B, C]))) == 1
