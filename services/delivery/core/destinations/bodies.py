"""The bodies of the HTTP API of destinations, field by field, by what their type says."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from services.delivery.core.destinations.kinds import Field, Kind, Rules
from services.delivery.core.destinations.registry import all_kinds
from shared.checks import Check, checked, line
from shared.errors import Detail, unprocessable

NAME_MAX = 100


@dataclass(frozen=True)
class Written:
    """A destination as it is to be: its name, what may be shown, the secrets that are new (null: taken away), and which of these were made here."""

    name: str
    config: dict[str, Any]
    secrets: dict[str, str | None] = field(default_factory=dict, repr=False)
    secrets_set: frozenset[str] = frozenset()
    made: frozenset[str] = frozenset()

    @property
    def shown_once(self) -> dict[str, str]:
        return {name: self.secrets[name] or "" for name in sorted(self.made)}


def new_destination(body: Any, rules: Rules) -> tuple[Kind, Written]:
    """Raises ApiError 400 naming every field that is wrong, 422 for what doesn't go together."""
    named = body.get("type") if isinstance(body, dict) else None
    kind = all_kinds().get(named) if isinstance(named, str) else None
    fields: dict[str, Check] = {"name": _name, "type": _type, "config": _config(kind, rules, {}, complete=True)}
    given = checked(body, fields, ("name", "type", "config"))
    assert kind is not None
    return kind, _together(kind, _merged(kind, given["name"], {}, frozenset(), given["config"]))


def changed_destination(kind: Kind, name: str, config: Mapping[str, Any], secrets_set: frozenset[str], body: Any, rules: Rules) -> Written:
    """The destination after a PATCH: fields that aren't named stay. Raises ApiError as above."""
    given = checked(body, {"name": _name, "config": _config(kind, rules, config, complete=False)})
    written = _merged(kind, given.get("name", name), config, secrets_set, given.get("config", {}))
    moved = [each.name for each in kind.fields if each.leads and written.config.get(each.name) != config.get(each.name)]
    if moved and (kept := (secrets_set & written.secrets_set) - written.secrets.keys()):
        why = f"must be given again: 'config.{moved[0]}' is another one, and nobody learns a secret by having it sent elsewhere"
        raise unprocessable(*(Detail(f"config.{each}", why) for each in sorted(kept)))
    return _together(kind, written)


def _name(value: Any) -> list[Detail]:
    return line("name", value, NAME_MAX)


def _type(value: Any) -> list[Detail]:
    if isinstance(value, str) and value in all_kinds():
        return []
    return [Detail("type", f"must be one of: {', '.join(all_kinds())}")]


def _config(kind: Kind | None, rules: Rules, before: Mapping[str, Any], complete: bool) -> Check:
    def check(value: Any) -> list[Detail]:
        if not isinstance(value, dict):
            return [Detail("config", "must be an object")]
        if kind is None:
            return []  # the type is wrong already
        known = {each.name: each for each in kind.fields}
        wrong = [Detail(f"config.{name[:80]}", "unknown field") for name in value if name not in known]
        for each in kind.fields:
            missing = each.name not in value if complete else False
            if each.required and (missing or (each.name in value and value[each.name] is None)):
                wrong.append(Detail(f"config.{each.name}", "is required"))
            elif value.get(each.name) is not None:
                wrong += each.check(f"config.{each.name}", value[each.name], rules)
        return wrong

    return check


def _merged(kind: Kind, name: str, config: Mapping[str, Any], secrets_set: frozenset[str], given: Mapping[str, Any]) -> Written:
    merged, secrets, made = dict(config), dict[str, str | None](), set[str]()
    for each in kind.fields:
        value = given.get(each.name)
        if not each.secret:
            if each.name in given or each.name not in merged:
                merged[each.name] = _kept(each, value)
        elif each.made is not None and value is None and (each.name in given or each.name not in secrets_set):
            secrets[each.name] = each.made()
            made.add(each.name)
        elif each.name in given:
            secrets[each.name] = _kept(each, value)
    kept = (secrets_set - secrets.keys()) | {n for n, v in secrets.items() if v is not None}
    return Written(name, {n: v for n, v in merged.items() if v is not None}, secrets, frozenset(kept), frozenset(made))


def _kept(field: Field, value: Any) -> Any:
    return field.default if value is None else field.kept(value)


def _together(kind: Kind, written: Written) -> Written:
    if wrong := kind.together(written.config, written.secrets_set):
        raise unprocessable(*wrong)
    return written
