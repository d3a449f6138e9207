"""Where files are to be brought when an export is complete: what a request or a schedule may say of it, and whether that is there.

`[{"type": "sftp", "id": "dst_…"}, {"type": "email", "to": ["a@b.example"]}]`. The destinations themselves are delivery's; here they are names.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from shared.checks import is_email
from shared.errors import ApiError, Detail, unprocessable

TYPES = ("s3", "sftp", "webhook", "email")
DESTINATIONS_MAX = 10
RECIPIENTS_MAX = 50
ID_MAX = 100

Named = Mapping[str, Any]


def check(value: Any, field: str = "destinations") -> list[Detail]:
    """What is wrong by itself; `field` is where it stands. Addresses are in no message."""
    if not isinstance(value, list) or len(value) > DESTINATIONS_MAX:
        return [Detail(field, f"must be a list of at most {DESTINATIONS_MAX} destinations")]
    ids: set[str] = set()
    addresses: set[str] = set()
    return [wrong for i, each in enumerate(value) for wrong in _one(f"{field}.{i}", each, ids, addresses)]


def _one(field: str, value: Any, ids: set[str], addresses: set[str]) -> list[Detail]:
    """`ids`, `addresses`: those of the entries before, to which this one's are added."""
    if not isinstance(value, dict):
        return [Detail(field, "must be an object with type, and id or to")]
    wrong = [Detail(f"{field}.{name[:80]}", "unknown field") for name in value if name not in ("type", "id", "to")]
    kind = value.get("type")
    if not isinstance(kind, str) or kind not in TYPES:
        wrong.append(Detail(f"{field}.type", f"must be one of {', '.join(TYPES)}"))
    if "id" in value and "to" in value:
        return [*wrong, Detail(f"{field}.to", "give either id or to")]
    if "to" in value:
        if kind != "email" and isinstance(kind, str):
            wrong.append(Detail(f"{field}.to", "is for e-mail: a destination of another type is named by its id"))
        return wrong + _recipients(f"{field}.to", value["to"], addresses)
    return wrong + _id(f"{field}.id", value, ids)


def _id(field: str, value: Mapping[str, Any], ids: set[str]) -> list[Detail]:
    if "id" not in value:
        return [Detail(field, "is required: the id of a destination" + (" (or addresses in to)" if value.get("type") == "email" else ""))]
    named = value["id"]
    if not isinstance(named, str) or not 1 <= len(named) <= ID_MAX or not named.isprintable():
        return [Detail(field, "must be text: the id of a destination")]
    if named in ids:
        return [Detail(field, "is named twice")]
    ids.add(named)
    return []


def _recipients(field: str, to: Any, addresses: set[str]) -> list[Detail]:
    if not isinstance(to, list) or not 1 <= len(to) <= RECIPIENTS_MAX:
        return [Detail(field, f"must be a list of 1 to {RECIPIENTS_MAX} e-mail addresses")]
    wrong = []
    for i, each in enumerate(to):
        if not isinstance(each, str) or not is_email(each):
            wrong.append(Detail(f"{field}.{i}", "is not an e-mail address"))
        elif each.lower() in addresses:
            wrong.append(Detail(f"{field}.{i}", "is named twice"))
        else:
            addresses.add(each.lower())
    return wrong


def ids_of(named: Sequence[Named]) -> list[str]:
    return [each["id"] for each in named if "id" in each]


def require_there(named: Sequence[Named], known: Mapping[str, str], field: str = "destinations") -> None:
    """`known`: the types of the organisation's destinations by their ids. Raises ApiError that names every field: 404 where there is no such
    destination, as for `since`; 422 where it is of another type."""
    placed = [(f"{field}.{i}", each) for i, each in enumerate(named) if "id" in each]
    if missing := [Detail(f"{place}.id", "is no destination of yours") for place, each in placed if each["id"] not in known]:
        raise ApiError(404, "not_found", f"The destination that '{missing[0].field}' names does not exist.", missing)
    if others := [
        Detail(f"{place}.type", f"the destination is of type {known[each['id']]}")
        for place, each in placed
        if known[each["id"]] != each["type"]
    ]:
        raise unprocessable(*others)


def sends_to_anybody(named: Sequence[Named]) -> bool:
    """Whether files go to addresses that nobody has set up as a destination: who asks for it must be allowed to take them."""
    return any("to" in each for each in named)


def stored(named: Sequence[Named]) -> str:
    return json.dumps(list(named), ensure_ascii=False, separators=(",", ":"))


def told(named: Sequence[Named]) -> list[dict[str, Any]]:
    """For the audit trail: addresses are personal, their number isn't."""
    return [{"type": each["type"], **({"id": each["id"]} if "id" in each else {"addresses": len(each["to"])})} for each in named]
