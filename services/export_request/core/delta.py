"""What a request with `since` is measured from, and what it takes from there: which rows, which columns and what is hidden are the base's own."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from services.export_request.core import redaction
from services.export_request.core.life import RUNNING, Status
from services.export_request.core.redaction import Profile
from shared.datasets import registry as datasets
from shared.datasets.base import Dataset
from shared.datasets.plan import PlanSpec, Redaction
from shared.datasets.redaction import stricter
from shared.errors import ApiError, Detail, unprocessable

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Base:
    """An export that a delta can be measured from."""

    export_id: str
    snapshot: str
    spec: PlanSpec


def base_of(row: Row | None, field: str = "since") -> Base:
    """`row`: as `rerun_source` finds it. Raises ApiError that names the field: 404 for an id that isn't known, 409 where the export hasn't ended,
    422 where it has no files, 410 where its instant can't be seen any more."""
    if row is None:
        raise ApiError(404, "not_found", f"The export that '{field}' names does not exist.", [Detail(field, "is no export of yours")])
    if row["status"] in RUNNING:
        raise ApiError(
            409, "conflict", f"The export that '{field}' names has not ended: wait for it.", [Detail(field, f"is {row['status']}")]
        )
    if row["status"] not in (Status.completed, Status.expired):
        raise unprocessable(Detail(field, f"the export has no files: it is {row['status']}"))
    require_seen(row, field)
    return Base(row["id"], row["snapshot"], PlanSpec.model_validate_json(row["spec"]))


def require_seen(row: Row, field: str) -> None:
    """Raises ApiError 410 where the export's instant can't be seen any more, with what to do."""
    why = next((reason for name, reason in _UNSEEN.items() if row[name]), None)
    if why is not None:
        message = f"{why}: what the export saw is not there any more. Ask for a whole export, and measure from that one."
        raise ApiError(410, "gone", message, [Detail(field, "is of an instant that can't be seen any more")])


_UNSEEN = {
    "erased": "A person was erased since", "pruned": "What was replaced or deleted since has been pruned",
    "from_elsewhere": "The database was restored since",
}  # fmt: skip


def check_dataset(dataset: Dataset, base: Base) -> list[Detail]:
    """Whether the rows of `dataset` can be compared with those of the base."""
    if dataset.entity is None:
        comparable = ", ".join(name for name in datasets.names() if datasets.get(name).entity is not None)
        return [Detail("since", f"'{dataset.name}' can't be measured from another export; these can: {comparable}")]
    if base.spec.dataset != dataset.name:
        return [Detail("since", f"is an export of '{base.spec.dataset}': it must be one of '{dataset.name}'")]
    return []


def columns_asked(dataset: Dataset, base: Base) -> Sequence[str] | None:
    """The columns that the base was asked for by name; null: those of its formats."""
    default = dataset.resolve_columns(None, base.spec.formats, base.spec.custom_properties)
    return None if base.spec.columns == default else base.spec.columns[base.spec.formats[0]]


def check_redaction(asked: str | None, given: bool, profiles: Sequence[Profile], base: Base) -> list[Detail]:
    """What is hidden is what the base hid, which must not be less than the organisation asks for by now."""
    hidden = base.spec.redaction
    if given and asked != (hidden.profile if hidden else None):
        return [Detail("redaction", "is the base's: leave it out")]
    if not hides(hidden, redaction.resolved(None, profiles)):
        return [
            Detail(
                "since",
                "hides less than your organisation's default profile does by now: ask for a whole export, and measure from that one",
            )
        ]
    return []


def hides(hidden: Redaction | None, floor: Redaction | None) -> bool:
    """Whether `hidden` shows nothing that `floor` hides."""
    if floor is None:
        return True
    if hidden is None:
        return False
    patterns = {(p.pattern, p.replacement) for p in hidden.patterns}
    return (
        all(stricter(hidden.columns.get(key), rule) == hidden.columns.get(key) for key, rule in floor.columns.items())
        and set(floor.detect) <= set(hidden.detect)
        and {(p.pattern, p.replacement) for p in floor.patterns} <= patterns
        and not any(rule == "keep" and key not in floor.columns for key, rule in hidden.columns.items())
    )


def same(mine: Any, theirs: Any) -> bool:
    """Whether two resolved values are one, in whatever order a filter's names stand."""
    return json.dumps(mine, sort_keys=True, default=str) == json.dumps(theirs, sort_keys=True, default=str)
