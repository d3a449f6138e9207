"""Mail to people: links to the files, or the files."""

from collections.abc import Mapping
from typing import Any

from services.delivery.core.destinations import templates
from services.delivery.core.destinations.fields import choice, whole
from services.delivery.core.destinations.kinds import Field, Kind, Rules
from services.delivery.core.mail import SUBJECT_CHARACTERS_MAX, masked
from shared.checks import EMAIL, EMAIL_MAX, LINE, is_email
from shared.errors import Detail

RECIPIENTS_MAX = 50
WAYS = ("link", "file")
ATTACH_BYTES_DEFAULT, ATTACH_BYTES_MAX = 5 << 20, 20 << 20  # of all files together, before base64, which takes a third more
SUBJECT = "Your export of {dataset} is ready"


def _to(field: str, value: Any, rules: Rules) -> list[Detail]:
    """No address stands in a message."""
    if not rules.mail:
        return [Detail(field, "needs a mail server, and this installation has none: its operator sets WAYBILL_SMTP_HOST")]
    if not isinstance(value, list) or not 1 <= len(value) <= RECIPIENTS_MAX:
        return [Detail(field, f"must be a list of 1 to {RECIPIENTS_MAX} e-mail addresses")]
    wrong, seen = [], set()
    for i, each in enumerate(value):
        if not isinstance(each, str) or not is_email(each):
            wrong.append(Detail(f"{field}.{i}", "is not an e-mail address"))
        elif each.lower() in seen:
            wrong.append(Detail(f"{field}.{i}", "is named twice"))
        else:
            seen.add(each.lower())
    return wrong


def _subject(field: str, value: Any, rules: Rules) -> list[Detail]:
    problem = templates.problem_with_text(value, SUBJECT_CHARACTERS_MAX)
    return [Detail(field, problem)] if problem else []


def _where(config: Mapping[str, Any]) -> str:
    """Addresses are personal."""
    first, *others = config["to"]
    return f"mail to {masked(first)}" + (f" and {len(others)} more" if others else "")


_ADDRESS = {"type": "string", "pattern": EMAIL, "maxLength": EMAIL_MAX}
KIND = Kind(
    name="email",
    title="e-mail",
    fields=(
        Field("to", _to, {"type": "array", "minItems": 1, "maxItems": RECIPIENTS_MAX, "items": _ADDRESS}, required=True),
        choice("send", WAYS, default="link"),
        whole("attach_bytes_max", ATTACH_BYTES_MAX, "a number of bytes", default=ATTACH_BYTES_DEFAULT),
        Field(
            "subject", _subject, {"type": "string", "pattern": LINE, "minLength": 1, "maxLength": SUBJECT_CHARACTERS_MAX}, default=SUBJECT
        ),
    ),
    example={"to": ["ops@example.com"], "send": "link", "subject": "Messages of {from}"},
    where=_where,
    probed="The mail server would take mail for each of them. None was sent.",
)
