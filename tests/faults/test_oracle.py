"""The oracle finds each planted violation, and none where nothing is wrong."""

from dataclasses import replace
from typing import Any

import pytest

from tests.faults.oracle import ExportFacts, Facts, FileFacts, OrganisationFacts, judge
from tests.faults.plan import Ask
from tests.faults.records import PULSES, Record

ASK = Ask(0, 0, "http", "leads", ("csv",), "none", "UTC", None, 0)
FILE = FileFacts("leads.csv", "csv", 20, 900, "aa", 20, "aa", 20, 900, "aa", 20, "aa")
EXPORT = ExportFacts(
    ASK, "key-0", floor=3, removed=None, found=("exp_1",), status="completed", rows_planned=20, rows_written=20, files=(FILE,),
    pulses={("csv", 4): PULSES}, events=(("accepted", "e1"), ("started", "e2"), ("progress", "e3"), ("progress", "e4"), ("completed", "e5")),
    webhooks=(("completed", "e5"), ("completed", "e5")),
)  # fmt: skip
LEADS = (Record("lead", "a", "v1", version=1), Record("lead", "a", "v2", version=2), Record("lead", "b", "v1", "delete", 3))
A_SCORE = (
    22,
    [{"rule": "business_email", "points": 8}, {"rule": "phone_given", "points": 4}, {"rule": "senior_title", "points": 10}],
)  # a, v2
ORGANISATION = OrganisationFacts(
    "org", LEADS, {("lead", "a"): [(2, "v2")]}, {"lead": [("a", "v2")]}, {"/v1/exports/x": 404}, {"a": A_SCORE}, {"a": A_SCORE[0]}
)
FACTS = Facts((ORGANISATION,), (EXPORT,), letters=(("records-dlq", "org/lead/bad"),) * 2, letters_due=("org/lead/bad",))


def with_file(**changes: Any) -> Facts:
    return replace(FACTS, exports=(replace(EXPORT, files=(replace(FILE, **changes),)),))


def with_export(**changes: Any) -> Facts:
    return replace(FACTS, exports=(replace(EXPORT, **changes),))


def with_organisation(**changes: Any) -> Facts:
    return replace(FACTS, organisations=(replace(ORGANISATION, **changes),))


def test_nothing_is_found_where_nothing_is_wrong() -> None:
    assert judge(FACTS) == []
    assert judge(with_file(actual_rows=None, again_sha256="aa")) == []
    assert judge(with_export(events=(*EXPORT.events, ("completed", "e5")))) == []  # heard twice, under one id
    failed = with_export(
        status="failed", files=(), error="store_full", events=(("accepted", "e1"), ("failed", "e2")), webhooks=(("failed", "e2"),)
    )
    assert judge(replace(failed, refusal="store_full")) == []  # the store was full
    assert judge(failed)
    assert judge(with_organisation(scores_exported=None)) == []  # something was stuck: no last export


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        (with_organisation(rows={}), "not there"),
        (with_organisation(rows={("lead", "a"): [(1, "v1")]}), "must be (2, 'v2')"),
        (with_organisation(rows={("lead", "a"): [(2, "v2"), (2, "v2")]}), "2 times"),
        (with_organisation(rows={("lead", "a"): [(2, "v2")], ("lead", "b"): [(1, "v1")]}), "must not be"),
        (with_organisation(exported={"lead": []}), "lacks"),
        (with_organisation(exported={"lead": [("a", "v2"), ("a", "v2")]}), "2 times"),
        (with_organisation(exported={"lead": [("a", "v2"), ("c", "v1")]}), "1 times"),
        (with_organisation(answers={"/v1/exports/x": 200}), "got 200"),
        (with_organisation(scores={}), "the score of a is None"),
        (with_organisation(scores={"a": (A_SCORE[0], A_SCORE[1][:1])}), "the score of a is"),
        (with_organisation(scores={"a": A_SCORE, "b": A_SCORE}), "the score of b is"),
        (with_organisation(scores_exported={"a": 99}), "the export's scores"),
        (replace(with_export(status="failed", files=(), error="part_missing"), refusal="store_full"), "must be completed (part_missing)"),
        (replace(with_export(status="failed", error="store_full"), refusal="store_full"), "shows files"),
        (with_export(found=()), "gave 0 exports"),
        (with_export(found=("exp_1", "exp_2")), "gave 2 exports"),
        (with_export(status="formatting", files=()), "never ended"),
        (with_export(status="failed", files=(), error="part_missing"), "must be completed (part_missing)"),
        (with_export(removed=202), "must be cancelled"),
        (with_export(removed=204), "was deleted, and is there"),
        (with_export(status="cancelled", removed=202), "shows files"),
        (with_export(rows_written=19), "19 written"),
        (with_export(rows_planned=21, rows_written=21), "21 planned"),
        (with_export(pulses={("csv", 4): PULSES - 1, ("csv", 5): 1}), "not one instant"),
        (with_export(pulses={("csv", 4): PULSES - 1}), "not one instant"),
        (with_export(pulses={}), "not one instant"),
        (with_export(pulses={("csv", 2): PULSES}), "3 was answered before"),
        (with_export(events=EXPORT.events[:-1]), "nobody was told that it is completed"),
        (with_export(events=EXPORT.events[1:]), "nobody was told that it is accepted"),
        (with_export(events=(*EXPORT.events, ("completed", "e6"))), "told under 2 ids"),
        (with_export(events=(*EXPORT.events, ("failed", "e6"))), "failed was told"),
        (with_export(events=(*EXPORT.events[:-1], ("completed", "e1"))), "event id e1"),
        (with_export(webhooks=()), "webhooks: none came"),
        (with_export(webhooks=(("completed", "e5"), ("completed", "w1"))), "webhooks:"),
        (with_export(webhooks=(("completed", "e5"), ("failed", "e4"))), "webhooks:"),
        (with_file(actual_sha256="bb"), "without faults"),
        (with_file(reference_sha256="bb"), "without faults"),
        (with_file(manifest_sha256="bb"), "without faults"),
        (with_file(again_sha256="bb"), "a rerun"),
        (with_file(again_sha256=""), "a rerun"),
        (with_file(actual_bytes=899), "899 there"),
        (with_file(manifest_rows=19), "19 in the manifest"),
        (with_file(parts_rows=19), "19 in its parts"),
        (with_file(actual_rows=21), "21 in the file"),
        (with_file(strangers=("other",)), "belongs to other"),
        (with_export(ask=replace(ASK, wrong=True)), "was accepted"),
        (with_export(ask=replace(ASK, wrong=True), found=()), "nobody was told that it is refused"),
        (
            with_export(ask=replace(ASK, wrong=True), found=(), events=(("refused", "r1"), ("refused", "r2"))),
            "refused was told under 2 ids",
        ),
        (replace(FACTS, letters=()), "no dead letter for org/lead/bad"),
        (replace(FACTS, letters=(*FACTS.letters, ("export-parts-dlq", "exp_1"))), "dead letter in export-parts-dlq"),
        (replace(FACTS, letters=(*FACTS.letters, ("records-dlq", "org/lead/a"))), "dead letter in records-dlq for org/lead/a"),
        (replace(FACTS, left=("parts/exp_1/00000000.csv",)), "left behind: parts/exp_1"),
        (replace(FACTS, wrong=("delivery still ran",)), "delivery still ran"),
    ],
)
def test_a_violation_is_found(facts: Facts, said: str) -> None:
    assert [what for what in judge(facts) if said in what], judge(facts)
