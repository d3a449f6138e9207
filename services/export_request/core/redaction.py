"""Which redaction an export gets: the profile that was asked for, and never less than the organisation's default one."""

from collections.abc import Mapping, Sequence
from typing import Any, get_args

from shared.datasets.plan import Detector, OwnPattern, Redaction
from shared.datasets.redaction import stricter

# A profile as the settings hold it.
Profile = Mapping[str, Any]


def resolved(asked: str | None, profiles: Sequence[Profile]) -> Redaction | None:
    """The redaction of an export; null where none is asked for and there is no default. `asked` is the name of one of `profiles`.

    The default profile is the floor: of each column the stricter rule holds, and what either of them looks for is looked for.
    """
    floor = next((each for each in profiles if each["default"]), None)
    wanted = floor if asked is None else next(each for each in profiles if each["name"] == asked)
    if wanted is None:
        return None
    both = [wanted] if floor is None or floor is wanted else [floor, wanted]
    keys = dict.fromkeys(key for each in both for key in each["columns"])
    rules = {key: _strictest([each["columns"].get(key) for each in both]) for key in keys}
    detect = {name for each in both for name in each["detect"]}
    patterns = {
        (p["pattern"], p["replacement"]): OwnPattern(name=f"{each['name']}.{i}", pattern=p["pattern"], replacement=p["replacement"])
        for each in reversed(both) for i, p in enumerate(each["patterns"], 1)
    }  # fmt: skip
    return Redaction(
        profile=wanted["name"], columns={key: rule for key, rule in rules.items() if rule is not None},
        detect=[name for name in get_args(Detector) if name in detect], patterns=list(patterns.values()),
    )  # fmt: skip


def strictest(*redactions: Redaction | None) -> Redaction | None:
    """One that shows nothing that any of these hides; pseudonyms are those of the first that is one."""
    there = [each for each in redactions if each is not None]
    if not there:
        return None
    keys = dict.fromkeys(key for each in there for key in each.columns)
    rules = {key: _strictest([each.columns.get(key) if each is not None else None for each in redactions]) for key in keys}
    detect = {name for each in there for name in each.detect}
    patterns = {(p.pattern, p.replacement): p for each in there for p in each.patterns}
    return Redaction(
        profile=there[0].profile, columns={key: rule for key, rule in rules.items() if rule is not None},
        detect=[name for name in get_args(Detector) if name in detect], patterns=list(patterns.values()),
    )  # fmt: skip


def _strictest(rules: Sequence[Any]) -> Any:
    strictest = rules[0]
    for rule in rules[1:]:
        strictest = stricter(strictest, rule)
    return strictest
