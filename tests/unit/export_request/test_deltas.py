"""What is taken from a base, what may be seen through a comparison, and how a delta's rows are counted."""

from typing import Any

import pytest

from services.export_request.core import redaction
from services.export_request.core.delta import Base, columns_asked, hides
from services.export_request.core.diff import comparison
from services.export_request.core.life import ChunkDone, Life, Published, Status, step
from services.export_request.core.request.reading import Organisation
from services.export_request.core.request.resolving import resolve
from shared.datasets import registry
from shared.datasets.plan import OwnPattern, PlanSpec, Redaction
from shared.errors import ApiError

NOW = {"erased": False, "pruned": False, "from_elsewhere": False}


def plan(**more: Any) -> PlanSpec:
    return PlanSpec(**({"dataset": "leads", "formats": ["csv"], "columns": {"csv": ["id", "email"]}} | more))


def row(snapshot: str, spec: PlanSpec, **more: Any) -> dict[str, Any]:
    return {
        "id": f"exp_{snapshot}",
        "status": "completed",
        "snapshot": snapshot,
        "protected": False,
        "spec": spec.model_dump_json(),
        **NOW,
        **more,
    }


def redacted(**columns: Any) -> Redaction:
    return Redaction(profile="p", columns=columns)


@pytest.mark.parametrize(
    ("hidden", "floor", "enough"),
    [
        (None, None, True), (redacted(email="mask"), None, True), (None, redacted(email="mask"), False), (redacted(email="hash"), redacted(email="mask"), False),
        (redacted(email="remove"), redacted(email="mask"), True), (redacted(), Redaction(profile="p", detect=["email"]), False),
        (Redaction(profile="q", detect=["email"]), Redaction(profile="p", detect=["email"]), True),
        (redacted(), Redaction(profile="p", patterns=[OwnPattern(name="p.1", pattern="x")]), False),
        (redacted(name="keep"), Redaction(profile="p"), False),
    ],
)  # fmt: skip
def test_a_base_must_hide_what_the_default_profile_hides(hidden: Redaction | None, floor: Redaction | None, enough: bool) -> None:
    assert hides(hidden, floor) is enough


def test_nothing_is_seen_through_a_comparison_that_one_of_them_hides() -> None:
    keep, hashed = (
        Redaction(profile="k", columns={"email": "keep", "name": "truncate"}),
        Redaction(profile="h", columns={"name": "year"}, detect=["iban"]),
    )
    both = redaction.strictest(keep, hashed, None)
    assert both is not None
    assert (both.columns, both.detect, both.profile) == ({"name": "mask"}, ["iban"], "k")
    assert redaction.strictest(None, None) is None


def test_the_later_instant_is_measured_from_the_earlier_one_whatever_is_named_first() -> None:
    old, new = row("10:12:10,11", plan(filter={"ids": ["a"]})), row("10:12:11", plan(timezone="Europe/Brussels"))
    there, back = comparison(old, new, ()), comparison(new, old, ())
    assert (there.backwards, there.snapshot, there.spec.since and there.spec.since.snapshot) == (False, "10:12:11", "10:12:10,11")
    assert (back.backwards, back.snapshot) == (True, "10:12:11")
    assert there.spec.since
    assert there.spec.since.theirs
    assert (there.spec.since.theirs.filter, there.spec.filter, back.spec.filter) == ({"ids": ["a"]}, {}, {})
    assert (there.spec.timezone, back.spec.timezone) == ("Europe/Brussels", "UTC")  # as the second one writes
    assert comparison(old, old, ()).spec.since.theirs is None  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("other", "field"),
    [(row("1:1:", plan(columns={"csv": ["id"]})), "b"), (row("1:1:", plan(), protected=True), "b"), (row("1:1:", plan(), status="failed"), "b"),
     (row("1:1:", PlanSpec(dataset="conversations", formats=["json"], columns={"json": ["lead_id"]})), "b")],
)  # fmt: skip
def test_what_can_not_be_compared_is_named(other: dict[str, Any], field: str) -> None:
    with pytest.raises(ApiError) as refused:
        comparison(row("1:1:", plan()), other, ())
    assert (refused.value.status, [d.field for d in refused.value.details]) == (422, [field])


def test_columns_asked_for_by_name_are_those_of_the_delta_and_defaults_stay_defaults() -> None:
    leads = registry.get("leads")
    assert columns_asked(leads, Base("exp_1", "1:1:", plan())) == ["id", "email"]
    default = plan(columns=leads.resolve_columns(None, ["csv"]))
    assert columns_asked(leads, Base("exp_1", "1:1:", default)) is None
    body = {"dataset": "leads", "since": "exp_1", "format": "json"}
    made = resolve(body, Organisation("org", "Acme", "Asia/Tokyo"), Base("exp_1", "1:1:", default)).spec
    assert made.columns == leads.resolve_columns(None, ["json"])
    assert (made.timezone, made.since and made.since.export_id) == ("UTC", "exp_1")


def test_rows_are_written_or_left_out() -> None:
    life = Life(Status.formatting, planned=True, rows_planned=10, chunks_planned=1)
    done = step(life, ChunkDone(10, (6, 6), 4))
    assert done
    assert (done.life.rows_written, done.life.rows_excluded, done.life.status) == (6, 4, Status.assembling)
    end = step(done.life, Published((6,)))
    assert end
    assert end.life.status is Status.completed
    wrong = step(life, ChunkDone(10, (6, 7), 4))
    assert wrong
    assert (wrong.life.status, wrong.life.error_code) == (Status.failed, "rows_mismatch")


def test_whoever_resolves_a_request_without_its_base_is_told() -> None:
    with pytest.raises(ApiError) as refused:
        resolve({"dataset": "leads", "since": "exp_1"}, Organisation("org", "Acme", "UTC"))
    assert [d.field for d in refused.value.details] == ["since"]
