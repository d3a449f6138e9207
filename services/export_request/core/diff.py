"""Whether two exports can be compared row by row, and the plan by which that is done."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from services.export_request.core import redaction
from services.export_request.core.delta import Base, base_of
from services.export_request.core.redaction import Profile
from shared.datasets import registry as datasets
from shared.datasets.plan import PlanSpec, Since, Wanted
from shared.errors import Detail, unprocessable

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Comparison:
    """What is compared: the later instant by a plan whose `since` is the earlier one. `backwards`: the later one is what was named first."""

    spec: PlanSpec
    snapshot: str
    backwards: bool


def comparison(a: Row | None, b: Row | None, profiles: Sequence[Profile]) -> Comparison:
    """Of two exports, as `rerun_source` finds them. Raises ApiError that names `a` or `b`: 404, 409, 410 as for a delta's base;
    422 where they are of different datasets or columns, where their rows can't be compared, or where files are encrypted."""
    first, second = base_of(a, "a"), base_of(b, "b")
    assert a is not None
    assert b is not None
    wrong = [
        Detail(name, "its files are encrypted: what they hold isn't shown otherwise")
        for name, row in (("a", a), ("b", b))
        if row["protected"]
    ]
    wrong += _unlike(first, second)
    if wrong:
        raise unprocessable(*wrong)
    backwards = _age(first.snapshot) > _age(second.snapshot)
    earlier, later = (second, first) if backwards else (first, second)
    hidden = redaction.strictest(first.spec.redaction, second.spec.redaction, redaction.resolved(None, profiles))
    theirs = Wanted(filter=earlier.spec.filter, from_=earlier.spec.from_, to=earlier.spec.to)
    mine = Wanted(filter=later.spec.filter, from_=later.spec.from_, to=later.spec.to)
    name = _format(second.spec)
    since = Since(export_id=earlier.export_id, snapshot=earlier.snapshot, theirs=None if theirs == mine else theirs)
    # Whoever asks sees values as the second one writes them.
    spec = second.spec.model_copy(
        update={"formats": [name], "columns": {name: second.spec.columns[name]}, "redaction": hidden, "since": since, **dict(mine)}
    )
    return Comparison(spec, later.snapshot, backwards)


def _unlike(first: Base, second: Base) -> list[Detail]:
    """Why their rows can't be laid side by side."""
    dataset = datasets.get(second.spec.dataset)
    if first.spec.dataset != second.spec.dataset:
        return [Detail("b", f"is an export of '{second.spec.dataset}', the first one of '{first.spec.dataset}'")]
    if dataset.entity is None:
        return [Detail("b", f"'{dataset.name}' can't be compared row by row")]
    wrong = [
        Detail(name, "transcripts alone can't be compared: ask for json")
        for name, base in (("a", first), ("b", second))
        if not _format(base.spec)
    ]
    if not wrong and _columns(first.spec) != _columns(second.spec):
        wrong = [Detail("b", "has other columns than the first one")]
    return wrong


def _columns(spec: PlanSpec) -> tuple[list[str], list[Any]]:
    return spec.columns[_format(spec)], list(spec.custom_properties) if spec.dataset == "leads" else []


def _format(spec: PlanSpec) -> str:
    """The first format whose rows have columns."""
    return next((name for name in spec.formats if name != "txt"), "")


def _age(snapshot: str) -> tuple[int, int]:
    """Snapshots in order: what a later one sees is never less."""
    _, xmax, running = snapshot.split(":")
    return int(xmax), -len(running.split(",") if running else [])
