"""The Leads API's bodies and answers: what may be asked, the row that it makes, and a lead as the contract shows it (camelCase).

An API write is a record without version (records.yaml): it applies to whatever is held, and the highest version seen stays. So a record with a
higher version that comes later replaces it whole, and one with a lower or equal version is stale, as if the write had been a record.
"""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal, get_args

import orjson

from services.ingest.core.free import canonical
from services.ingest.core.rows import RECORD_TYPES, Row
from shared.checks import Check, checked
from shared.clock import instant
from shared.errors import Detail, invalid_request

Held = Mapping[str, Any]  # a row of ingest.leads
Status = Literal["new", "qualified", "contacted", "converted", "lost"]
Source = Literal["chat", "api", "import", "form"]
STATUSES, SOURCES = get_args(Status), get_args(Source)
COLUMNS = RECORD_TYPES["lead"].columns

EMAIL_MAX, LOCAL_MAX = 254, 64
TEXT_MAX, TAG_MAX, ID_MAX, NAME_MAX, VALUE_MAX = 1000, 200, 128, 200, 64 * 1024
LIST_MAX = 1000
_LOCAL = re.compile(r"[^\s@\"(),:;<>\[\\\].\x00-\x20\x7f]+(\.[^\s@\"(),:;<>\[\\\].\x00-\x20\x7f]+)*")
_LABEL = re.compile(r"[^\W_]([\w-]{0,61}[^\W_])?")
PHONE = r"^\+[1-9](([-. ]| ?\(|\)[-. ]?)?[0-9]){5,14}$"
TEXT = r"^[^\u0000-\u001f\u007f-\u009f]*$"  # lone surrogates never come so far
_phone_shape, _text_shape = re.compile(PHONE), re.compile(TEXT)

# The contract's field → our column.
_FIELDS = {
    "email": "email", "name": "name", "company": "company", "title": "title", "phone": "phone", "status": "status", "source": "source",
    "tags": "tags", "customFields": "custom_properties", "assignedTo": "assigned_to",
}  # fmt: skip


def new_lead(body: Any, now: datetime) -> Row:
    """The columns of the lead that `body` describes; null is the same as left out. Raises ApiError 400 naming every field that is wrong."""
    given = {name: value for name, value in body.items() if value is not None or name not in _FIELDS} if isinstance(body, dict) else body
    checked(given, _CHECKS, ("email",))
    row = {"status": "new", "source": "api", "tags": [], "custom_properties": "{}"} | _columns(given)
    row |= {"first_seen_at": now, "last_activity_at": now, "created_at": now, "updated_at": now}
    return tuple(row.get(column) for column in COLUMNS)


def lead_changes(body: Any) -> dict[str, Any]:
    """The columns that `body` changes; null empties what may be empty. Raises ApiError 400 naming every field that is wrong."""
    changes = checked(body, {name: check if name in ("email", "status", "source") else _or_null(check) for name, check in _CHECKS.items()})
    if not changes:
        raise invalid_request(Detail("", f"nothing to change; there are {', '.join(_FIELDS)}"))
    return _columns(changes)


def changed_lead(held: Held, changes: Mapping[str, Any], now: datetime) -> Row:
    """The next version of a lead: whoever changes it was active now."""
    row = {**{column: held[column] for column in COLUMNS}, **changes, "updated_at": now, "last_activity_at": now}
    return tuple(row[column] for column in COLUMNS)


def _columns(given: Mapping[str, Any]) -> dict[str, Any]:
    row = {_FIELDS[name]: value for name, value in given.items()}
    if "tags" in row:
        row["tags"] = row["tags"] or []
    if "custom_properties" in row:
        row["custom_properties"] = canonical(row["custom_properties"] or {})
    return row


# ---- answers


def lead_view(row: Held) -> dict[str, Any]:
    """A lead in a list, and as it is answered after a write. `assignedTo` is there where somebody is."""
    return {
        "id": row["id"], "email": row["email"], "name": row["name"], "company": row["company"], "title": row["title"], "phone": row["phone"],
        "status": row["status"], "score": row["score"], "source": row["source"], "tags": row["tags"] or [],
        "customFields": _custom_fields(row["custom_properties"]),
        **({"assignedTo": row["assigned_to"]} if row["assigned_to"] is not None else {}),
        **_instants(row),
    }  # fmt: skip


def whole_view(row: Held) -> dict[str, Any]:
    """One lead, with what its conversations say."""
    view = lead_view(row)
    times = {name: view.pop(name) for name in _instants(row)}
    view.pop("assignedTo", None)
    return {
        **view, "conversationCount": row["conversation_count"], "lastIntent": row["last_intent"], "assignedTo": row["assigned_to"], **times,
    }  # fmt: skip


def hit_view(row: Held, field: str) -> dict[str, Any]:
    """A lead that a search found, and in which field."""
    return {
        "id": row["id"], "email": row["email"], "name": row["name"], "company": row["company"], "status": row["status"], "score": row["score"],
        "matchField": field, "lastActiveAt": _instants(row)["lastActiveAt"],
    }  # fmt: skip


def _instants(row: Held) -> dict[str, Any]:
    """A lead that no record says was seen, or changed, was seen and changed when it was created."""
    return {
        "firstSeenAt": instant(row["first_seen_at"] or row["created_at"]),
        "lastActiveAt": instant(row["last_activity_at"] or row["updated_at"] or row["created_at"]),
        "createdAt": instant(row["created_at"]),
        "updatedAt": instant(row["updated_at"] or row["created_at"]),
    }


def _custom_fields(stored: str) -> Any:
    """As it is stored, to the byte."""
    return orjson.Fragment(stored if stored != "null" else "{}")


def to_json(value: Any) -> str:
    return orjson.dumps(value).decode()


# ---- checks


def email_problem(value: Any) -> str | None:
    """What is wrong with an address: one @, a dot-atom before it, a host name with a dot behind it. Unicode is fine in both (RFC 6531)."""
    if not isinstance(value, str):
        return "must be text"
    local, at, domain = value.rpartition("@")
    labels = domain.split(".")
    good = (
        at and len(value) <= EMAIL_MAX and len(local) <= LOCAL_MAX and _LOCAL.fullmatch(local) and value.isprintable()
        and len(labels) > 1 and all(_LABEL.fullmatch(label) for label in labels)
    )  # fmt: skip
    return None if good else "is not an e-mail address"


def phone_problem(value: Any) -> str | None:
    """E.164: + and up to 15 digits. Blanks, hyphens, dots and brackets between digits are fine, as in +1-555-0142."""
    if not isinstance(value, str):
        return "must be text"
    return None if _phone_shape.fullmatch(value) else "is not a phone number in E.164 format, as +1-555-0142"


def _email(value: Any) -> list[Detail]:
    return [Detail("email", problem)] if (problem := email_problem(value)) else []


def _phone(value: Any) -> list[Detail]:
    return [Detail("phone", problem)] if (problem := phone_problem(value)) else []


def _text(field: str, length_max: int) -> Check:
    def check(value: Any) -> list[Detail]:
        if isinstance(value, str) and len(value) <= length_max and _text_shape.fullmatch(value):
            return []
        return [Detail(field, f"must be text of at most {length_max} characters, none of them a control character")]

    return check


def _choice(field: str, *values: str) -> Check:
    def check(value: Any) -> list[Detail]:
        return [] if value in values and isinstance(value, str) else [Detail(field, f"must be one of {', '.join(values)}")]

    return check


def _tags(value: Any) -> list[Detail]:
    if not isinstance(value, list) or len(value) > LIST_MAX:
        return [Detail("tags", f"must be a list of at most {LIST_MAX} texts")]
    check = _text("", TAG_MAX)
    return [Detail(f"tags.{place}", problem.message) for place, tag in enumerate(value) for problem in check(tag)]


def _custom(value: Any) -> list[Detail]:
    if not isinstance(value, dict) or len(value) > LIST_MAX:
        return [Detail("customFields", f"must be an object of at most {LIST_MAX} fields")]
    wrong = []
    for name, item in value.items():
        field = f"customFields.{name[:NAME_MAX]}"
        if not 1 <= len(name) <= NAME_MAX or not _text_shape.fullmatch(name):
            wrong.append(Detail(field, f"a name has 1 to {NAME_MAX} characters, none of them a control character"))
        elif isinstance(item, dict | list):
            wrong.append(Detail(field, "must be text, a number, true, false or null"))
        elif isinstance(item, str) and len(item) > VALUE_MAX:
            wrong.append(Detail(field, f"must have at most {VALUE_MAX} characters"))
    return wrong


def _or_null(check: Check) -> Check:
    return lambda value: [] if value is None else check(value)


_CHECKS: dict[str, Check] = {
    "email": _email, "name": _text("name", TEXT_MAX), "company": _text("company", TEXT_MAX), "title": _text("title", TEXT_MAX), "phone": _phone,
    "status": _choice("status", *STATUSES), "source": _choice("source", *SOURCES), "tags": _tags, "customFields": _custom,
    "assignedTo": _text("assignedTo", ID_MAX),
}  # fmt: skip
